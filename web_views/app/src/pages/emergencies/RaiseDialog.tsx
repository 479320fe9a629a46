import { Modal } from "@mantine/core"
import type { Encounter } from "fhir/r4"
import { useState } from "react"
import { keyOf } from "../../fhir/bundle"
import { useRead } from "../../fhir/hooks"
import { Loading } from "../../parts/States"
import type { Asked } from "./asked"
import type { Letter, Outbox } from "./outbox"
import { RaiseForm } from "./RaiseForm"
import { LetterState } from "./Unsent"

/** The second step: what it is and of whom. Once sent it shows how the call fares; no stray click closes it. */
export function RaiseDialog({ asked, outbox, letters, close }: {
  asked: Asked
  outbox: Outbox
  letters: readonly Letter[]
  close: () => void
}) {
  const [uuid, setUuid] = useState<string>()
  const ofCase = useRead<Encounter>(asked.patient === undefined ? asked.encounter : undefined)
  const letter = letters.find((one) => one.uuid === uuid)
  const waits = asked.encounter !== undefined && asked.patient === undefined && ofCase.isPending
  const patient = asked.patient ?? keyOf(ofCase.data?.subject)
  return (
    <Modal opened onClose={close} title="Emergency" size="lg" closeOnClickOutside={false}>
      {letter !== undefined && <LetterState letter={letter} outbox={outbox} done={close} />}
      {uuid === undefined && waits && <Loading rows={2} />}
      {uuid === undefined && !waits && (
        <RaiseForm
          patient={patient}
          encounter={ofCase.error ? undefined : asked.encounter}
          send={(id, flag) => { outbox.add(id, flag); setUuid(id) }}
          cancel={close}
        />
      )}
    </Modal>
  )
}
