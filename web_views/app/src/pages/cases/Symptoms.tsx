import { Button, List, Text, TextInput } from "@mantine/core"
import { IconPlus } from "@tabler/icons-react"
import type { Bundle, Encounter, Reference } from "fhir/r4"
import { useDraft } from "../../drafts/draft"
import { keyOf, resolved } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { dateText } from "../../words/dates"
import { AddForm } from "./AddForm"
import { isOpen } from "./case"
import { observed, once } from "./opening"
import { Nothing, Section } from "./Section"
import { attached, useChange } from "./useCase"
import { useOpener } from "./useOpener"

/** Why the case was opened: what the patient tells, each an Observation that the case refers to. */
export function Symptoms({ encounter, among }: { encounter: Encounter; among: Bundle }) {
  const empty = { id: "", what: "", more: "" }
  const [draft, setDraft, clear] = useDraft(`symptom:${encounter.id ?? ""}`, empty)
  const { opened, trigger, toggle, close } = useOpener(draft.what !== "")
  const change = useChange(encounter)
  const reasons = encounter.reasonReference ?? []

  function send() {
    if (draft.what.trim() === "") return
    const sent = { ...draft, id: draft.id === "" ? crypto.randomUUID() : draft.id }
    setDraft(sent)
    change.mutate(async (server) => {
      const made = await server.create(observed(sent, keyOf(encounter.subject) ?? "", new Date().toISOString()), once(sent.id))
      const reference = `Observation/${made.id ?? ""}`
      await attached(server, encounter, "reasonReference", reference, { reference, display: sent.what.trim() })
    }, { onSuccess: () => { clear(); close() } })
  }

  return (
    <Section
      title="Symptoms" count={reasons.length}
      actions={isOpen(encounter) && (
        <Button
          size="compact-sm" variant="subtle" leftSection={<IconPlus size={16} aria-hidden />}
          ref={trigger} aria-expanded={opened} onClick={toggle}
        >
          Add symptom
        </Button>
      )}
    >
      {reasons.length === 0 && !opened && <Nothing>No symptoms were recorded.</Nothing>}
      <List size="sm" spacing={4} aria-label="Symptoms" listStyleType={reasons.length === 0 ? "none" : undefined}>
        {reasons.map((reason) => <List.Item key={reason.reference}><SymptomLine reference={reason} among={among} /></List.Item>)}
      </List>
      {opened && isOpen(encounter) && (
        <AddForm label="Save symptom" send={send} error={change.error} busy={change.isPending} close={close}>
          <TextInput
            label="Symptom" value={draft.what} autoFocus
            onChange={(event) => setDraft({ ...draft, what: event.currentTarget.value })}
          />
          <TextInput
            label="In the patient's words" value={draft.more}
            onChange={(event) => setDraft({ ...draft, more: event.currentTarget.value })}
          />
        </AddForm>
      )}
    </Section>
  )
}

function SymptomLine({ reference, among }: { reference: Reference; among: Bundle }) {
  const observation = resolved(among, "Observation", reference)
  const condition = resolved(among, "Condition", reference)
  const since = observation?.effectiveDateTime ?? condition?.onsetDateTime
  return (
    <>
      <Text span size="sm" fw={500}>{textOf(observation?.code ?? condition?.code) ?? reference.display ?? "Not to be seen"}</Text>
      {observation?.valueString !== undefined && <Text span size="sm" className="wrap"> — {observation.valueString}</Text>}
      {since !== undefined && <Text span c="dimmed" size="xs"> {dateText(since)}</Text>}
    </>
  )
}
