/** What other modules bring along to the case page, found by file: see section.ts. */

import type { CaseAction, CaseSection } from "./section"

const actions = import.meta.glob<CaseAction>("../*/case-action.tsx", { eager: true })
const sections = import.meta.glob<{ default: CaseSection }>("../*/of-case.tsx", { eager: true })

export const ACTIONS = Object.values(actions).sort((one, other) => one.order - other.order).map((module) => module.default)

const brought = Object.values(sections).map((module) => module.default).sort((one, other) => one.order - other.order)
export const FACTS = brought.filter(({ beside }) => beside === "facts")
export const TALK = brought.filter(({ beside }) => beside !== "facts")
