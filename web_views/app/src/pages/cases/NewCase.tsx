import { Button, Checkbox, Group, Paper, SegmentedControl, Stack, Text, TextInput } from "@mantine/core"
import { useMutation } from "@tanstack/react-query"
import type { Patient } from "fhir/r4"
import { useId, useRef, useState, type SyntheticEvent } from "react"
import { Link, useNavigate, useSearchParams } from "react-router"
import { useDraft } from "../../drafts/draft"
import { keyOf } from "../../fhir/bundle"
import { useRead, useRefresh } from "../../fhir/hooks"
import { Page } from "../../parts/Page"
import { PatientBanner } from "../../parts/PatientBanner"
import { Failure } from "../../parts/States"
import { useMe } from "../../session/session"
import { nameOf } from "../../words/names"
import { PRIORITIES } from "./case"
import { emptyForm, opening, problemsOf, type Form } from "./opening"
import { PatientPicker } from "./PatientPicker"
import { SymptomFields } from "./SymptomFields"

/** Open a case: for whom, why, how urgent. `?patient=` comes from a chart. */
export default function NewCase() {
  const { server, user } = useMe()
  const given = keyOf(useSearchParams()[0].get("patient")?.replace(/^(?!Patient\/)/, "Patient/"))
  const asked = useRead<Patient>(given)
  const [empty] = useState(emptyForm)
  const [draft, setDraft, clear] = useDraft<Form>(`new-case:${given ?? ""}`, empty)
  const [tried, setTried] = useState(false)
  const fields = useRef<HTMLFormElement>(null)
  const reason = useRef<HTMLInputElement>(null)
  const navigate = useNavigate()
  const refresh = useRefresh()
  const chosen = given !== undefined ? { reference: given, name: nameOf(asked.data) } : draft.patient
  const form: Form = { ...draft, patient: chosen }
  const problems = tried ? problemsOf(form) : {}
  const priority = useId()

  const open = useMutation({
    mutationFn: async (sent: Form) => {
      const answer = await server.transaction(opening(sent, user, new Date().toISOString()))
      return keyOf(answer.entry?.at(-1)?.response?.location ?? "")
    },
    onSuccess: async (reference) => {
      clear()
      void refresh("Encounter", "Observation")
      await navigate(reference === undefined ? "/worklist" : `/cases/${reference.split("/")[1] ?? ""}`, { replace: true })
    },
  })

  function send(event: SyntheticEvent) {
    event.preventDefault()
    setTried(true)
    if (Object.keys(problemsOf(form)).length > 0) {
      requestAnimationFrame(() => fields.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus())
      return
    }
    if (open.isPending) return
    const sent = { ...form, id: form.id === "" ? crypto.randomUUID() : form.id }
    setDraft(sent)
    open.mutate(sent)
  }

  return (
    <Page title="New case">
      {chosen !== undefined && <PatientBanner patient={chosen.reference} />}
      <Paper p="md" maw={760}>
        <form ref={fields} onSubmit={send} noValidate>
          <Stack>
            {chosen === undefined
              ? (
                <PatientPicker
                  error={problems.patient}
                  onPick={(reference, name) => {
                    setDraft({ ...draft, patient: { reference, name } })
                    reason.current?.focus() // the box that was typed into is gone now
                  }}
                />
              )
              : given === undefined && (
                <Group gap="xs">
                  <Text size="sm">For {chosen.name}</Text>
                  <Button variant="default" size="compact-sm" onClick={() => setDraft({ ...draft, patient: undefined })}>
                    Another patient
                  </Button>
                </Group>
              )}
            <TextInput
              ref={reason} label="Reason" withAsterisk placeholder="Chest pain since the morning" error={problems.reason}
              value={draft.reason} onChange={(event) => setDraft({ ...draft, reason: event.currentTarget.value })}
            />
            <SymptomFields value={draft.symptoms} onChange={(symptoms) => setDraft({ ...draft, symptoms })} />
            <div>
              <Text size="sm" fw={500} id={priority} mb={4}>Priority</Text>
              <SegmentedControl
                aria-labelledby={priority} data={[...PRIORITIES].reverse()} value={draft.priority}
                onChange={(value) => setDraft({ ...draft, priority: value })}
              />
            </div>
            <Checkbox
              label="I work on it" description="Otherwise it waits for somebody to take it."
              checked={draft.mine} onChange={(event) => setDraft({ ...draft, mine: event.currentTarget.checked })}
            />
            {open.error ? <Failure error={open.error} /> : null}
            <Group>
              <Button type="submit" loading={open.isPending}>Open case</Button>
              <Button variant="default" component={Link} to="/worklist" onClick={clear}>Discard</Button>
            </Group>
          </Stack>
        </form>
      </Paper>
    </Page>
  )
}
