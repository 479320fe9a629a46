/** What somebody is told: docs/workflows/notifications.md */

import type { Bundle, Communication } from "fhir/r4"
import { idOf, keyOf, ofType, resolved } from "../../fhir/bundle"
import { codeIn, SYSTEM } from "../../fhir/codes"
import type { Query } from "../../fhir/server"
import { nameOf } from "../../words/names"
import { numberOf } from "../cases/case"

const CATEGORIES = [`${SYSTEM.category}|notification`, `${SYSTEM.category}|alert`]

export const noticesOf = (recipient: string[], status: string[]): Query => ({ recipient, category: CATEGORIES, status })
export const unreadOf = (recipient: string[]): Query => ({ ...noticesOf(recipient, ["in-progress"]), _summary: "count" })
export const THERE = ["in-progress", "completed"] // a removed one is entered-in-error
export const isUnread = (notice: Communication) => notice.status === "in-progress"
export const isAlert = (notice: Communication) => codeIn(notice.category, SYSTEM.category) === "alert"
export const textOf = (notice: Communication) => notice.payload?.[0]?.contentString ?? "Something has happened."

/** The cases that notifications are about: "7,12", for one search that says which they are. */
export const casesOf = (notices: Communication[]): string[] =>
  [...new Set(notices.flatMap(({ about }) => (about ?? []).filter((one) => keyOf(one)?.startsWith("Encounter/")).map((one) => idOf(one) ?? "")))].sort()

/** "CASE-2026-00017 · Rosa Test": what the case is that somebody is told of, as far as they may see it. */
export function caseText(notice: Communication, cases: Bundle | undefined): string | undefined {
  const keys = (notice.about ?? []).map(keyOf)
  const found = ofType(cases, "Encounter").find(({ id }) => keys.includes(`Encounter/${id ?? ""}`))
  if (found === undefined) return undefined
  const patient = resolved(cases, "Patient", found.subject)
  return [numberOf(found), patient === undefined ? undefined : nameOf(patient)].filter(Boolean).join(" · ") || undefined
}

const PAGES: Record<string, string> = {
  Encounter: "/cases/",
  Task: "/referrals/",
  Flag: "/emergencies/",
  DocumentReference: "/records/",
  Patient: "/patients/",
}

/** The page of what a notification is about; undefined when there is none. */
export function pageOf(notice: Communication): string | undefined {
  for (const about of notice.about ?? []) {
    const [type = "", id = ""] = keyOf(about)?.split("/") ?? []
    const page = PAGES[type]
    if (page !== undefined) return page + id
  }
  return undefined
}
