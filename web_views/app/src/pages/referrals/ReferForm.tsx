import { Alert, Button, Group, Select, Stack, Text, Textarea, TextInput } from "@mantine/core"
import { notifications } from "@mantine/notifications"
import type { Encounter } from "fhir/r4"
import { useState } from "react"
import { useDraft } from "../../drafts/draft"
import { useRefresh } from "../../fhir/hooks"
import { words } from "../../fhir/outcome"
import { DirectoryPicker } from "../../parts/DirectoryPicker"
import { useNames } from "../../session/names"
import { useMe } from "../../session/session"
import { blank, ifNoneExist, missingIn, requestOf, URGENCIES, type Asked } from "./asking"
import { DocumentsField } from "./DocumentsField"

const KINDS = ["PractitionerRole", "HealthcareService", "Organization", "Practitioner"] as const

/** Whom, what, how urgently, why, with which documents. Sent twice it is one referral. */
export default function ReferForm({ patient, encounter, onDone }: { patient: string; encounter?: Encounter; onDone: () => void }) {
  const { server } = useMe()
  const { self } = useNames()
  const refresh = useRefresh()
  const [fresh] = useState(blank)
  const [asked, setAsked, clear] = useDraft(`referral:${encounter?.id ?? patient}`, fresh)
  const [tried, setTried] = useState(false)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const missing = missingIn(asked)
  const set = (some: Partial<Asked>) => setAsked({ ...asked, ...some })

  async function send() {
    setTried(true)
    if (Object.keys(missing).length > 0) return
    setBusy(true)
    setProblem(undefined)
    try {
      await server.create(requestOf(asked, patient, encounter), ifNoneExist(asked))
      clear()
      onDone()
      notifications.show({ title: "Referral sent", message: `${asked.whom?.display ?? "Who was asked"} is told, and you are of the answer.` })
      await refresh("ServiceRequest", "Task")
    } catch (error) {
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }

  return (
    <form onSubmit={(event) => { event.preventDefault(); void send() }} noValidate>
      <Stack>
        <DirectoryPicker
          label="To whom" kinds={KINDS} but={self} value={asked.whom} onChange={(whom) => set({ whom })}
          description="A person sees the chart from now on; of a department or service, whoever accepts."
          error={tried ? missing.whom : undefined}
        />
        <TextInput
          label="What you ask for" placeholder="Assessment of chest pain" required value={asked.what}
          onChange={(event) => set({ what: event.currentTarget.value })} error={tried ? missing.what : undefined}
        />
        <Select
          label="Urgency" data={URGENCIES} allowDeselect={false} value={asked.urgency}
          onChange={(value) => set({ urgency: URGENCIES.find((one) => one.value === value)?.value ?? "routine" })}
        />
        <Textarea
          label="Why" description="Findings, the question, what was done already" autosize minRows={3}
          value={asked.why} onChange={(event) => set({ why: event.currentTarget.value })}
        />
        <DocumentsField patient={patient} value={asked.documents} onChange={(documents) => set({ documents })} />
        {problem !== undefined && (
          <Alert color="red" role="alert">
            <Text size="sm">{words(problem)} What you wrote is kept here; sending it again makes no second referral.</Text>
          </Alert>
        )}
        <Group justify="space-between">
          <Button variant="subtle" color="gray" onClick={() => { clear(); onDone() }}>Discard</Button>
          <Group gap="xs">
            <Button variant="default" onClick={onDone}>Later</Button>
            <Button type="submit" loading={busy}>Send referral</Button>
          </Group>
        </Group>
      </Stack>
    </form>
  )
}
