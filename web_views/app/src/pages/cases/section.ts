import type { Encounter } from "fhir/r4"
import type { ComponentType } from "react"

/** What a section or an action of the case page is given: the case as it stands, asked anew whenever it changes. */
export type OfCase = { encounter: Encounter }

/**
 * A section of the case page, found by its file: every `pages/<name>/of-case.tsx` exports one as default.
 * By itself it is a tab of the right column; `beside: "facts"` puts it into the left one. On phones all are tabs.
 */
export type CaseSection = {
  title: string
  order: number // the first of the right column is open at first: discussion 10, referrals 30, calls 40, record 50
  beside?: "facts"
  Component: ComponentType<OfCase> // `lazy(() => import("./…"))` where it is heavy
}

/** An action of the case page's head, found by its file: every `pages/<name>/case-action.tsx` exports this. */
export type CaseAction = { default: ComponentType<OfCase>; order: number }
