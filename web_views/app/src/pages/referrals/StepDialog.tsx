import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core"
import { useState } from "react"
import { useDraft } from "../../drafts/draft"
import { words } from "../../fhir/outcome"
import type { Step } from "./referral"
import type { Steps } from "./useSteps"

/**
 * A step that asks first, with words to it. Nobody who types is interrupted when the referral changes meanwhile: the
 * server says so when they are done.
 */
export function StepDialog({ step, id, offered, steps, label, title, confirm, field, description, danger = false, required = false, primary = false }: {
  step: Step
  id: string
  offered: boolean
  steps: Steps
  label: string
  title: string
  confirm: string
  field: string
  description: string
  danger?: boolean
  required?: boolean
  primary?: boolean
}) {
  const [opened, setOpened] = useState(false)
  const [said, setSaid, clear] = useDraft(`referral:${id}:${step}`, "")
  const [missing, setMissing] = useState(false)

  async function go() {
    if (required && said.trim() === "") return setMissing(true)
    const outcome = await steps.take(step, said)
    if (outcome === "taken") clear()
    if (outcome !== "failed") setOpened(false) // overtaken: the page says how it stands
  }

  return (
    <>
      {offered && (
        <Button variant={primary ? "filled" : "default"} onClick={() => { steps.forget(); setOpened(true) }}>{label}</Button>
      )}
      <Modal opened={opened} onClose={() => setOpened(false)} title={title}>
        <form onSubmit={(event) => { event.preventDefault(); void go() }} noValidate>
          <Stack>
            <Textarea
              label={field} description={description} autosize minRows={2} data-autofocus required={required} withAsterisk={required}
              value={said} onChange={(event) => { setSaid(event.currentTarget.value); setMissing(false) }}
              error={missing ? "Say why." : undefined}
            />
            {steps.problem !== undefined && <Text c="red" size="sm" role="alert">{words(steps.problem)}</Text>}
            <Group justify="end">
              <Button variant="default" onClick={() => setOpened(false)}>Back</Button>
              <Button type="submit" color={danger ? "red" : undefined} loading={steps.busy === step}>{confirm}</Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  )
}
