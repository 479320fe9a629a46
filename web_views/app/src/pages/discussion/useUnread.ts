import type { Communication } from "fhir/r4"
import { useEffect, useEffectEvent, useState } from "react"
import { firstUnread, type Reads } from "./reading"

/** Where the line "New" stands: found when one comes, and again when one comes back to the tab; reading does not move it. */
export function useUnread(messages: readonly Communication[], mine: readonly string[], reads: Reads, loaded: boolean) {
  const [line, setLine] = useState<{ id?: string }>()
  if (loaded && line === undefined) setLine({ id: firstUnread(messages, mine, reads) })
  const back = useEffectEvent(() => {
    if (document.visibilityState === "visible" && loaded) setLine({ id: firstUnread(messages, mine, reads) })
  })
  useEffect(() => {
    const listener = () => back()
    document.addEventListener("visibilitychange", listener)
    return () => document.removeEventListener("visibilitychange", listener)
  }, [])
  return line?.id
}
