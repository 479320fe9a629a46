import type { Communication } from "fhir/r4"
import type { Entry } from "../../drafts/outbox"
import { uuidOf } from "./message"

export type Item =
  | { kind: "day"; key: string; at: string }
  | { kind: "unread"; key: string }
  | { kind: "message"; key: string; message: Communication; follows: boolean }
  | { kind: "waiting"; key: string; entry: Entry }

const CLOSE = 5 * 60_000 // of one sender: their name once

/** Oldest first: a line for each day, one before what is new, and at the end what has not arrived. */
export function timeline(messages: readonly Communication[], waiting: readonly Entry[], unread: string | undefined): Item[] {
  const items: Item[] = []
  let before: Communication | undefined
  for (const message of messages) {
    const at = message.sent ?? message.meta?.lastUpdated ?? ""
    const isNewDay = before === undefined || dayOf(before.sent) !== dayOf(message.sent)
    const isFirstNew = unread !== undefined && message.id === unread
    if (isNewDay) items.push({ kind: "day", key: `day ${dayOf(at)}`, at })
    if (isFirstNew) items.push({ kind: "unread", key: "unread" })
    const follows = !isNewDay && !isFirstNew && before !== undefined && isClose(before, message)
    items.push({ kind: "message", key: uuidOf(message) ?? message.id ?? at, message, follows })
    before = message
  }
  const arrived = new Set(messages.map(uuidOf))
  const rest = waiting.filter(({ id }) => !arrived.has(id))
  return [...items, ...rest.map((entry): Item => ({ kind: "waiting", key: entry.id, entry }))]
}

/** The day in the user's own zone. */
export function dayOf(at: string | undefined): string {
  const day = new Date(at ?? "")
  return `${day.getFullYear()}-${day.getMonth() + 1}-${day.getDate()}`
}

const isClose = (one: Communication, other: Communication) =>
  one.sender?.reference === other.sender?.reference &&
  new Date(other.sent ?? "").getTime() - new Date(one.sent ?? "").getTime() < CLOSE
