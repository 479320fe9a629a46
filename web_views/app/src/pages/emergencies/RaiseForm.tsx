import { Alert, Button, Chip, Group, Input, Select, Stack, Textarea } from "@mantine/core"
import { IconWifiOff } from "@tabler/icons-react"
import type { Flag } from "fhir/r4"
import { useState } from "react"
import { useDraft } from "../../drafts/draft"
import { useLive } from "../../live/live"
import { emptyForm, flagOf, type Form } from "./form"
import { GRAVITIES, KINDS } from "./kinds"
import { PatientField } from "./PatientField"
import { PlaceField } from "./PlaceField"

/** Patient, kind, how grave, words, place. The patient is all one must say. */
export function RaiseForm({ patient, encounter, send, cancel }: {
  patient?: string
  encounter?: string
  send: (uuid: string, flag: Flag) => void
  cancel: () => void
}) {
  const { connected } = useLive()
  const [form, setForm, clear] = useDraft<Form>(`emergency:${encounter ?? patient ?? ""}`, emptyForm(patient, encounter))
  const [missing, setMissing] = useState(false)
  const change = (changes: Partial<Form>) => setForm({ ...form, ...changes })

  function call() {
    if (form.patient === undefined) return setMissing(true)
    clear()
    send(form.uuid, flagOf(form, form.patient))
  }

  return (
    <Stack gap="sm">
      {!connected && (
        <Alert color="red" variant="filled" icon={<IconWifiOff />} title="No connection: this may not go out" role="alert">
          Call for help by telephone, or call out to somebody near.
        </Alert>
      )}
      <PatientField
        value={form.patient}
        choose={(chosen) => change({ patient: chosen, encounter: chosen === patient ? encounter : undefined })}
        error={missing && form.patient === undefined ? "Say who needs help." : undefined}
      />
      <Group gap="sm" align="start" grow preventGrowOverflow={false}>
        <Select
          label="What is wrong" data={KINDS} value={form.kind} allowDeselect={false} miw={220}
          onChange={(kind) => change({ kind: kind ?? "sos" })}
        />
        <Input.Wrapper label="Priority" labelElement="div">
          <Chip.Group value={form.gravity} onChange={(value) => change({ gravity: gravity(value) })}>
            <Group gap={6} role="radiogroup" aria-label="Priority">
              {GRAVITIES.map(({ value, label }) => <Chip key={value} value={value} color="red">{label}</Chip>)}
            </Group>
          </Chip.Group>
        </Input.Wrapper>
      </Group>
      <Textarea
        label="In your words" placeholder="What you see, what is needed" autosize minRows={2} maxRows={6} maxLength={2000}
        value={form.words} onChange={(event) => change({ words: event.currentTarget.value })}
      />
      <PlaceField place={form.place} position={form.position} change={change} />
      <Group justify="end" mt="xs">
        <Button variant="default" onClick={() => { clear(); cancel() }}>Cancel</Button>
        <Button color="red" onClick={call}>Call for help</Button>
      </Group>
    </Stack>
  )
}

const gravity = (value: string) => GRAVITIES.find((one) => one.value === value)?.value ?? "PH"
