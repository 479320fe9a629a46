import { createContext, useContext, useEffect, useEffectEvent, useState, type ReactNode } from "react"
import type { Socket } from "socket.io-client"
import { useQueryClient } from "@tanstack/react-query"
import { useRefresh } from "../fhir/hooks"
import { useMe } from "../session/session"
import { Gathered } from "./gathered"
import { connect, type Answer } from "./socket"
import { Topics } from "./topics"

type Live = { socket: Socket; topics: Topics; connected: boolean; online: ReadonlySet<string> }

const Context = createContext<Live | undefined>(undefined)

/** The connection of the tab: what is shown is asked anew when it comes back, and staff come and go. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const me = useMe()
  const queries = useQueryClient()
  const [socket] = useState(() => connect(me))
  const [topics] = useState(() => new Topics(me, socket))
  const [connected, setConnected] = useState(socket.connected)
  const [online, setOnline] = useState<ReadonlySet<string>>(new Set())

  useEffect(() => {
    let before = false // whether there was a connection that could have missed something
    const came = () => {
      setConnected(true)
      if (before) void queries.invalidateQueries()
      before = true
      socket.emit("user:online", {}, (answer: Answer) => setOnline(new Set((answer.users as string[] | undefined) ?? [])))
    }
    const went = () => setConnected(false)
    const joined = ({ userId }: { userId: string }) => setOnline((now) => new Set(now).add(userId))
    const left = ({ userId }: { userId: string }) => setOnline((now) => new Set([...now].filter((one) => one !== userId)))
    socket.on("connect", came)
    socket.on("disconnect", went)
    socket.on("user:online", joined)
    socket.on("user:offline", left)
    if (socket.connected) came()
    else if (!socket.active) socket.connect()
    return () => {
      socket.off("connect", came)
      socket.off("disconnect", went)
      socket.off("user:online", joined)
      socket.off("user:offline", left)
      socket.disconnect()
    }
  }, [socket, queries])

  return <Context value={{ socket, topics, connected, online }}>{children}</Context>
}

export function useLive(): Live {
  const live = useContext(Context)
  if (live === undefined) throw new Error("Outside of the live connection.")
  return live
}

/** Hear an event of the socket while the component is shown. */
export function useEvent<T>(event: string, hear: (data: T) => void): void {
  const { socket } = useLive()
  const heard = useEffectEvent(hear)
  useEffect(() => {
    const listener = (data: T) => heard(data)
    socket.on(event, listener)
    return () => void socket.off(event, listener)
  }, [socket, event])
}

/** Hear that events of the socket have come: once for what comes in one go. */
export function useEvents(event: string, hear: () => void): void {
  const { socket } = useLive()
  const heard = useEffectEvent(hear)
  useEffect(() => {
    const gathered = new Gathered<undefined>(() => heard())
    const listener = () => gathered.add(undefined)
    socket.on(event, listener)
    return () => {
      socket.off(event, listener)
      gathered.stop()
    }
  }, [socket, event])
}

// What each topic tells of: asked anew when nobody knows which of them has changed.
const TYPES: Record<string, string[]> = {
  "care-plan": ["CarePlan"],
  case: ["Encounter"],
  consultation: ["Encounter"],
  discussion: ["Communication"],
  emergency: ["Flag", "Task"],
  notification: ["Communication"],
  record: ["DocumentReference", "Consent"],
  referral: ["ServiceRequest", "Task"],
}
const isOf = (topic: string, what: unknown) => TYPES[topic]?.includes(String(what).split("/")[0] ?? "") ?? true

/** Follow a topic of the guide ("case") while the component is shown: what is on screen of a change is asked anew. */
export function useTopic(topic: string, changed?: (references: string[]) => void): void {
  const { topics } = useLive()
  const refresh = useRefresh()
  const queries = useQueryClient()
  const told = useEffectEvent((references: string[]) => {
    if (references.length > 0) void refresh(...references)
    else void queries.invalidateQueries({ predicate: ({ queryKey: [, what] }) => isOf(topic, what) })
    changed?.(references)
  })
  useEffect(() => {
    // None named: nobody knows which of them have changed.
    const gathered = new Gathered<string[]>((all) => told(all.some((one) => one.length === 0) ? [] : all.flat()))
    const end = topics.listen(topic, (references) => gathered.add(references))
    return () => {
      end()
      gathered.stop()
    }
  }, [topics, topic])
}

const within = new Map<string, number>() // rooms of this tab, and how many components are in each

/** Be in the room of a case, also after the connection came back; `users` are in it, too. */
export function useRoom(caseId: string | undefined): ReadonlySet<string> {
  const { socket } = useLive()
  const [users, setUsers] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => {
    if (caseId === undefined) return
    const moved = new Map<string, boolean>() // who came and went while the answer was on its way: newer than it
    const settle = (before: Iterable<string>) => {
      const all = new Set([...before, ...moved.keys()])
      return new Set([...all].filter((one) => moved.get(one) ?? true))
    }
    const join = () => {
      moved.clear()
      socket.emit("case:join", caseId, (answer: Answer) => setUsers(settle((answer.users as string[] | undefined) ?? [])))
    }
    const came = (told: { caseId: string; userId: string }) => {
      if (told.caseId !== caseId) return
      moved.set(told.userId, true)
      setUsers(settle)
    }
    const went = (told: { caseId: string; userId: string }) => {
      if (told.caseId !== caseId) return
      moved.set(told.userId, false)
      setUsers(settle)
    }
    socket.on("connect", join)
    socket.on("case:join", came)
    socket.on("case:leave", went)
    within.set(caseId, (within.get(caseId) ?? 0) + 1)
    if (socket.connected) join()
    return () => {
      socket.off("connect", join)
      socket.off("case:join", came)
      socket.off("case:leave", went)
      const others = (within.get(caseId) ?? 1) - 1
      within.set(caseId, others)
      if (others === 0) socket.emit("case:leave", caseId)
    }
  }, [socket, caseId])
  return users
}
