import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core"
import type { Encounter } from "fhir/r4"
import { useState, type SyntheticEvent } from "react"
import { useDraft } from "../../drafts/draft"
import { Failure } from "../../parts/States"
import { patchOf, type Step } from "./case"
import { patched, useChange } from "./useCase"

/** Giving a case up before work began, which needs a reason. */
export function CancelCase({ encounter, step }: { encounter: Encounter; step: Step }) {
  const [opened, setOpened] = useState(false)
  const [why, setWhy, clear] = useDraft(`cancel:${encounter.id ?? ""}`, "")
  const [missing, setMissing] = useState(false)
  const change = useChange(encounter)

  function send(event: SyntheticEvent) {
    event.preventDefault()
    setMissing(why.trim() === "")
    if (why.trim() === "" || change.isPending) return
    change.mutate(patched(encounter, patchOf(encounter, step, why.trim())), { onSuccess: clear })
  }

  return (
    <>
      <Button variant="default" onClick={() => setOpened(true)}>{step.label}</Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title="Cancel this case?">
        <form onSubmit={send} noValidate>
          <Stack>
            <Text size="sm">Those who work on it are told. A cancelled case is not opened again.</Text>
            <Textarea
              label="Reason" withAsterisk autosize minRows={2} data-autofocus placeholder="Entered twice"
              error={missing && why.trim() === "" ? "Say why." : undefined}
              value={why} onChange={(event) => setWhy(event.currentTarget.value)}
            />
            {change.error ? <Failure error={change.error} /> : null}
            <Group justify="end">
              <Button variant="default" onClick={() => setOpened(false)}>Back</Button>
              <Button type="submit" color="red" loading={change.isPending}>{step.label}</Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  )
}
