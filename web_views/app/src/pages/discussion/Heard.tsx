import type { Communication } from "fhir/r4"
import { useState } from "react"
import { keyOf } from "../../fhir/bundle"
import { isDeleted, saidIn } from "./message"

/** Tells those who do not see the list what somebody else has just said. */
export function Heard({ messages, mine }: { messages: readonly Communication[]; mine: readonly string[] }) {
  const newest = messages.at(-1)
  const [first, setFirst] = useState(newest?.id) // what was there before needs no telling
  if (first === undefined && newest?.id !== undefined) setFirst(newest.id)
  const isNews = newest !== undefined && first !== undefined && newest.id !== first && !isDeleted(newest)
  const tell = isNews && !mine.includes(keyOf(newest.sender) ?? "")
  return (
    <div role="status" className="visually-hidden">
      {tell && `${newest.sender?.display ?? "Somebody"} wrote: ${saidIn(newest) || "a file"}`}
    </div>
  )
}
