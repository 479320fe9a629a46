import { useSyncExternalStore } from "react"
import { useMe } from "../session/session"
import { Outbox } from "./outbox"

const boxes = new Map<string, Outbox>()

/** The outbox of a user: one for the tab, told when another tab writes. */
function outboxOf(user: string): Outbox {
  const key = `draft:${user}:outbox` // a draft: forgotten at sign-out
  const known = boxes.get(key)
  if (known !== undefined) return known
  const made = new Outbox(localStorage, key)
  boxes.set(key, made)
  window.addEventListener("storage", (told) => {
    if (told.key === key || told.key === null) made.reload()
  })
  return made
}

export function useOutbox() {
  const outbox = outboxOf(useMe().user)
  const entries = useSyncExternalStore(outbox.subscribe, outbox.all)
  return { outbox, entries, sending: outbox.sending }
}
