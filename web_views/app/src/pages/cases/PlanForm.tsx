import { Textarea, TextInput } from "@mantine/core"
import type { CarePlan, Encounter } from "fhir/r4"
import { FhirError } from "../../fhir/outcome"
import { useMe } from "../../session/session"
import { AddForm } from "./AddForm"
import { once } from "./opening"
import { edited, planned, usePlanDraft } from "./plan"
import { useChange } from "./useCase"

/** Write a plan, or change one: what one has seen, nobody else's change is written over unseen. */
export function PlanForm({ encounter, plan, close }: { encounter: Encounter; plan?: CarePlan; close: () => void }) {
  const { user } = useMe()
  const [draft, setDraft, clear] = usePlanDraft(encounter, plan)
  const change = useChange(encounter)
  const behind = !change.isPending && !change.isSuccess && plan !== undefined && draft.version !== undefined && draft.version !== plan.meta?.versionId
  const conflict = behind || (change.error instanceof FhirError && change.error.status === 412)

  function save(version: string | undefined) {
    if (draft.title.trim() === "" && draft.text.trim() === "") return
    const sent = { ...draft, id: draft.id === "" ? crypto.randomUUID() : draft.id, version }
    setDraft(sent)
    change.mutate(
      (server) =>
        plan === undefined
          ? server.create(planned(sent, encounter, user, new Date().toISOString()), once(sent.id))
          : server.update(edited(plan, sent)),
      { onSuccess: () => { clear(); close() } },
    )
  }

  return (
    <AddForm
      label="Save plan" send={() => save(draft.version ?? plan?.meta?.versionId)} busy={change.isPending}
      error={conflict ? new FhirError(412) : change.error}
      // A button of its own: the one below never begins to mean this while somebody is pressing it.
      instead={conflict && plan !== undefined ? { label: "Save mine instead", act: () => save(plan.meta?.versionId) } : undefined}
      leave={plan === undefined ? "Back" : "Discard changes"}
      close={() => { if (plan !== undefined) clear(); close() }}
    >
      <TextInput
        label="Plan in one line" value={draft.title} placeholder="Rest, aspirin, stress test" autoFocus
        onChange={(event) => setDraft({ ...draft, title: event.currentTarget.value })}
      />
      <Textarea
        label="In detail" autosize minRows={3} maxRows={16} value={draft.text}
        onChange={(event) => setDraft({ ...draft, text: event.currentTarget.value })}
      />
    </AddForm>
  )
}
