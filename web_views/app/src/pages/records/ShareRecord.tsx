import { Button, Modal } from "@mantine/core"
import { IconShare } from "@tabler/icons-react"
import type { DocumentReference } from "fhir/r4"
import { lazy, Suspense, useState } from "react"
import { Waiting } from "../../parts/States"
import { titleOf } from "../cases/document"

const Sharing = lazy(() => import("./Sharing"))

/** The button by which a record is shared, and by which one sees who has it. */
export function ShareRecord({ document }: { document: DocumentReference }) {
  const [opened, setOpened] = useState(false)
  const title = titleOf(document)
  return (
    <>
      <Button
        variant="default" size="xs" leftSection={<IconShare size={16} aria-hidden />} aria-haspopup="dialog"
        aria-label={`Share ${title}`} onClick={() => setOpened(true)}
      >
        Share
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title={`Share “${title}”`} size="lg">
        <Suspense fallback={<Waiting />}><Sharing document={document} /></Suspense>
      </Modal>
    </>
  )
}
