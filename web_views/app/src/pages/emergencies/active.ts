import type { Flag } from "fhir/r4"
import { useEffect, useMemo, useState } from "react"
import { SYSTEM } from "../../fhir/codes"
import { usePages, useRefresh, useSearch } from "../../fhir/hooks"
import type { Query } from "../../fhir/server"
import { useEvents, useLive, useTopic } from "../../live/live"
import type { Answer } from "../../live/socket"
import { emergenciesOf } from "./emergency"

const WITH: Query = { _include: "Flag:patient", _revinclude: "Task:focus" }
const ACTIVE: Query = {
  category: `${SYSTEM.flagCategory}|emergency`, status: "active", _sort: "-date", _count: 50, _total: "accurate", ...WITH,
}

/** The emergencies that last, of all; asked once for the top line and the board. */
export function useActive(enabled = true) {
  const pages = usePages<Flag>("Flag", ACTIVE, enabled)
  const all = pages.data?.pages
  const emergencies = useMemo(() => emergenciesOf(all ?? []), [all])
  return { ...pages, emergencies }
}

/** Certain ones, whether they last or not. */
export function useEmergencies(ids: string[]) {
  const found = useSearch<Flag>("Flag", { _id: ids, _count: 50, ...WITH }, ids.length > 0)
  const emergencies = useMemo(() => (found.data === undefined ? undefined : emergenciesOf([found.data])), [found.data])
  return { ...found, emergencies }
}

/** Be in the room of those on duty, and ask anew what is shown with each news; false for whom it is not. */
export function useNews(): boolean {
  const { socket } = useLive()
  const refresh = useRefresh()
  const [allowed, setAllowed] = useState(true)
  const again = () => void refresh("Flag")
  useEvents("emergency:alert", again)
  useEvents("emergency:update", again)
  useTopic("emergency", again)
  useEffect(() => {
    const join = () => socket.emit("emergency:join", {}, (answer: Answer) => setAllowed(answer.ok || answer.status !== 403))
    socket.on("connect", join)
    if (socket.connected) join()
    return () => {
      socket.off("connect", join)
      socket.emit("emergency:leave", {})
    }
  }, [socket])
  return allowed
}
