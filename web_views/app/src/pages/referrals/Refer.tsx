import { Button, Modal } from "@mantine/core"
import { IconArrowsExchange } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { lazy, Suspense, useState } from "react"
import { Waiting } from "../../parts/States"

const ReferForm = lazy(() => import("./ReferForm"))

/** The button by which a patient is referred, out of a case or a chart. What was typed is there when it is opened again. */
export function Refer({ patient, encounter }: { patient: string; encounter?: Encounter }) {
  const [opened, setOpened] = useState(false)
  return (
    <>
      <Button
        variant="default" leftSection={<IconArrowsExchange size={18} aria-hidden />} aria-haspopup="dialog"
        onClick={() => setOpened(true)}
      >
        Refer
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title="New referral" size="lg">
        <Suspense fallback={<Waiting />}>
          <ReferForm patient={patient} encounter={encounter} onDone={() => setOpened(false)} />
        </Suspense>
      </Modal>
    </>
  )
}
