import { Button, NativeSelect, Stack, TextInput } from "@mantine/core"
import { IconPlus } from "@tabler/icons-react"
import type { Bundle, Encounter } from "fhir/r4"
import { useDraft } from "../../drafts/draft"
import { keyOf } from "../../fhir/bundle"
import { useMe } from "../../session/session"
import { AddForm } from "./AddForm"
import { isOpen } from "./case"
import { CERTAINTIES, diagnosed } from "./diagnosis"
import { DiagnosisRow } from "./DiagnosisRow"
import { once } from "./opening"
import { Nothing, Section } from "./Section"
import { attached, useChange, useMyPart } from "./useCase"
import { useOpener } from "./useOpener"

/** What the team found: Conditions in Encounter.diagnosis. */
export function Diagnoses({ encounter, among }: { encounter: Encounter; among: Bundle }) {
  const { user } = useMe()
  const [draft, setDraft, clear] = useDraft(`diagnosis:${encounter.id ?? ""}`, { id: "", what: "", certainty: "provisional" })
  const { opened, trigger, toggle, close } = useOpener(draft.what !== "")
  const { works } = useMyPart(encounter)
  const change = useChange(encounter)
  const may = works && isOpen(encounter)
  const found = encounter.diagnosis ?? []

  function send() {
    if (draft.what.trim() === "") return
    const sent = { ...draft, id: draft.id === "" ? crypto.randomUUID() : draft.id }
    setDraft(sent)
    const of = {
      patient: keyOf(encounter.subject) ?? "",
      encounter: `Encounter/${encounter.id ?? ""}`,
      by: user,
      now: new Date().toISOString(),
    }
    change.mutate(async (server) => {
      const made = await server.create(diagnosed(sent, of), once(sent.id))
      const reference = `Condition/${made.id ?? ""}`
      await attached(server, encounter, "diagnosis", reference, { condition: { reference, display: sent.what.trim() } })
    }, { onSuccess: () => { clear(); close() } })
  }

  return (
    <Section
      title="Diagnosis" count={found.length}
      actions={may && (
        <Button
          size="compact-sm" variant="subtle" leftSection={<IconPlus size={16} aria-hidden />}
          ref={trigger} aria-expanded={opened} onClick={toggle}
        >
          Add diagnosis
        </Button>
      )}
    >
      {found.length === 0 && !opened && <Nothing>No diagnosis yet.</Nothing>}
      {found.length > 0 && (
        <Stack component="ul" gap={6} m={0} p={0} mb={opened ? "xs" : 0} style={{ listStyle: "none" }} aria-label="Diagnoses">
          {found.map(({ condition }) => (
            <DiagnosisRow key={condition.reference} reference={condition} encounter={encounter} among={among} may={may} />
          ))}
        </Stack>
      )}
      {opened && may && (
        <AddForm label="Save diagnosis" send={send} error={change.error} busy={change.isPending} close={close}>
          <TextInput
            label="Diagnosis" value={draft.what} placeholder="Stable angina" autoFocus
            onChange={(event) => setDraft({ ...draft, what: event.currentTarget.value })}
          />
          <NativeSelect
            label="Certainty" data={CERTAINTIES.slice(0, 2)} value={draft.certainty}
            onChange={(event) => setDraft({ ...draft, certainty: event.currentTarget.value })}
          />
        </AddForm>
      )}
    </Section>
  )
}
