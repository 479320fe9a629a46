/** Who has read what: receipts are each reader's own Communications. */

import type { Communication, Reference } from "fhir/r4"
import { idOf, keyOf } from "../../fhir/bundle"
import { concept, SYSTEM } from "../../fhir/codes"
import { isDeleted, isReceipt } from "./message"

export type Read = { by: Reference; at?: string }
/** By a message's id. */
export type Reads = ReadonlyMap<string, Read[]>

export function readsOf(receipts: readonly Communication[]): Reads {
  const reads = new Map<string, Read[]>()
  for (const receipt of receipts) {
    const id = idOf(receipt.inResponseTo?.[0])
    if (!isReceipt(receipt) || receipt.status !== "completed" || id === undefined || receipt.sender === undefined) continue
    const known = reads.get(id) ?? []
    if (!known.some(({ by }) => keyOf(by) === keyOf(receipt.sender)))
      reads.set(id, [...known, { by: receipt.sender, at: receipt.received }])
  }
  return reads
}

/** Whether it waits for me: somebody else's, and not read by me. */
export function isUnread(message: Communication, mine: readonly string[], reads: Reads): boolean {
  if (isDeleted(message) || mine.includes(keyOf(message.sender) ?? "")) return false
  return !(reads.get(message.id ?? "") ?? []).some(({ by }) => mine.includes(keyOf(by) ?? ""))
}

/** The first message of the list (oldest first) that waits for me. */
export const firstUnread = (messages: readonly Communication[], mine: readonly string[], reads: Reads) =>
  messages.find((message) => isUnread(message, mine, reads))?.id

export const receiptOf = (id: string): Communication => ({
  resourceType: "Communication",
  status: "completed",
  category: [concept(SYSTEM.message, "receipt")],
  inResponseTo: [{ reference: `Communication/${id}` }],
})
