import type { CarePlan, Encounter } from "fhir/r4"
import { useDraft } from "../../drafts/draft"
import { keyOf } from "../../fhir/bundle"
import { identifierOf } from "./opening"

/** What is typed of a plan; `version` is that of the plan as one has seen it. */
export type PlanDraft = { id: string; title: string; text: string; version?: string }

export const usePlanDraft = (encounter: Encounter, plan?: CarePlan) =>
  useDraft<PlanDraft>(`plan:${encounter.id ?? ""}:${plan?.id ?? ""}`, { id: "", title: "", text: "" })

/** A new plan of the case. */
export function planned(draft: PlanDraft, encounter: Encounter, by: string, now: string): CarePlan {
  return {
    resourceType: "CarePlan",
    identifier: [identifierOf(draft.id)],
    status: "active",
    intent: "plan",
    subject: { reference: keyOf(encounter.subject) ?? "" },
    encounter: { reference: `Encounter/${encounter.id ?? ""}` },
    created: now,
    author: { reference: by },
    ...said(draft),
  }
}

/** The plan with what was typed, as the version that was seen: If-Match. */
export function edited(plan: CarePlan, draft: PlanDraft): CarePlan {
  const rest = { ...plan }
  delete rest.title
  delete rest.description
  return { ...rest, meta: { ...plan.meta, versionId: draft.version }, ...said(draft) }
}

const said = ({ title, text }: PlanDraft) => ({
  ...(title.trim() !== "" && { title: title.trim() }),
  ...(text.trim() !== "" && { description: text.trim() }),
})
