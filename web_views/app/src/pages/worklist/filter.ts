/** What the worklist shows, as it stands in the address; the last one is kept for the next visit. */

import { SYSTEM } from "../../fhir/codes"
import type { Query } from "../../fhir/server"
import { soughtBy } from "../../fhir/sought"

export const OPEN = ["planned", "triaged", "in-progress", "onleave"]
export const URGENCIES = ["EM", "UR", "R"]
export type Order = "urgent" | "changed"

export type Filter = { mine: boolean; status: string[]; priority: string[]; find: string; order: Order }

export function filterOf(query: URLSearchParams): Filter {
  return {
    mine: query.get("whose") !== "all",
    status: query.getAll("status"),
    priority: query.getAll("priority"),
    find: query.get("find") ?? "",
    order: query.get("order") === "changed" ? "changed" : "urgent",
  }
}

/** The address without what is so by itself; the order is that of the page. */
export function addressOf({ mine, status, priority, find, order }: Filter): URLSearchParams {
  return new URLSearchParams([
    ...(mine ? [] : [["whose", "all"]]),
    ...status.map((one) => ["status", one]),
    ...priority.map((one) => ["priority", one]),
    ...(order === "urgent" ? [] : [["order", order]]),
    ...(find === "" ? [] : [["find", find]]),
  ])
}

/** The search of these cases; `me` is who works on what is mine. */
export function searchOf(filter: Filter, me: string[]): Query {
  const text = filter.find.trim()
  return {
    class: `${SYSTEM.act}|VR`,
    participant: filter.mine ? me : undefined,
    status: filter.status.length > 0 ? filter.status : OPEN,
    priority: filter.priority,
    ...(text.length < 2 ? {} : /^case-/i.test(text) ? { identifier: text.toUpperCase() } : soughtBy(text, "patient.")),
    // Numbers are given in turn: the lowest has waited longest.
    _sort: filter.order === "changed" ? "-_lastUpdated" : "identifier",
    _include: "Encounter:patient",
  }
}

const shelf = (user: string) => `worklist:${user}`

/** Keep how one looks at the list, without whom one looked for. */
export function keep(user: string, filter: Filter): void {
  localStorage.setItem(shelf(user), addressOf({ ...filter, find: "" }).toString())
}
export const kept = (user: string) => new URLSearchParams(localStorage.getItem(shelf(user)) ?? "")
