/** What was typed and not sent: kept in this browser until it is sent or the user signs out. */

import { useCallback, useState } from "react"
import { useMe } from "../session/session"
import { clearFiles } from "./files"

const PREFIX = "draft:"
const EMPTY = ["[]", "{}", '""', "null"]

/** Like useState, and survives reload and crash of the tab; `clear` when it was sent. */
export function useDraft<T>(name: string, initial: T): [T, (value: T) => void, () => void] {
  const { user } = useMe()
  const key = `${PREFIX}${user}:${name}`
  const [value, setValue] = useState<T>(() => read<T>(key) ?? initial)
  const [shown, setShown] = useState(key)
  if (shown !== key) {
    // another draft of the same component: another case was opened
    setShown(key)
    setValue(read<T>(key) ?? initial)
  }
  const set = useCallback(
    (next: T) => {
      setValue(next)
      const text = JSON.stringify(next)
      if (text === JSON.stringify(initial)) localStorage.removeItem(key) // as if nothing had been typed
      else localStorage.setItem(key, text)
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- an initial value is often written in place
    [key],
  )
  const clear = useCallback(() => {
    setValue(initial)
    localStorage.removeItem(key)
    // eslint-disable-next-line react-hooks/exhaustive-deps -- an initial value is often written in place
  }, [key])
  return [value, set, clear]
}

/** Whether something waits in this browser that was not sent: drafts, messages, removals. */
export const hasDrafts = (): boolean =>
  Object.keys(localStorage).some((key) => key.startsWith(PREFIX) && !EMPTY.includes(localStorage.getItem(key) ?? "[]"))

/** Forget every draft of the browser, and the files chosen for them, at sign-out. */
export function clearDrafts(): void {
  clearFiles()
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key)
}

function read<T>(key: string): T | undefined {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "") as T
  } catch {
    return undefined
  }
}
