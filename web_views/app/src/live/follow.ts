/**
 * Changes by subscription: numbered by the server, and resumed where this browser was. docs/realtime.md
 *
 * One Subscription for each topic and user of this browser, kept by its id; each tab keeps the number of the last
 * event that it has, so that after a lost connection exactly what was missed comes, in order, before anything new.
 */

import type { Bundle, Parameters, Subscription } from "fhir/r4"
import type { Socket } from "socket.io-client"
import { SYSTEM, TOPIC } from "../fhir/codes"
import { keyOf, matches } from "../fhir/bundle"
import { FhirError } from "../fhir/outcome"
import type { FhirServer } from "../fhir/server"
import type { Session } from "../session/sign-in"
import type { Answer } from "./socket"

const BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
const REASON = "Live views"
const AGAIN = 30_000 // ms: how often what is shown is asked anew while there is no subscription
const ROOM = 16 // Subscriptions that are given up at a time where a user has as many as the server allows
const LASTS = 12 * 3600_000 // of a Subscription, so that no forgotten browser leaves one for ever

type Kept = { id: string; until: number }

/**
 * Calls `changed` with the references ("Encounter/1") of every change of the topic, and with none when there may have
 * been some before it was followed; answers how to stop.
 */
export function follow(
  session: Session,
  socket: Socket,
  topic: string,
  changed: (references: string[]) => void,
): () => void {
  const shelf = `follow:${session.user}:${topic}`
  let kept = read(shelf)
  let over = false
  let later: number | undefined

  async function join(): Promise<void> {
    if (isLeaving) return
    if (kept === undefined || kept.until < Date.now()) {
      const made = subscribe(session, topic).then((id) => keep({ id, until: Date.now() + LASTS }))
      making.add(made)
      await made.finally(() => making.delete(made))
    }
    const { id } = kept as Kept
    const after = last(id)
    const answer = (await socket.emitWithAck("subscription:join", { subscription: id, after })) as Answer
    if (over) return
    if (answer.ok) {
      remember(id, after ?? Number(answer.count))
      if (after === undefined) changed([]) // what was asked for before this moment may have changed meanwhile
    } else if (answer.status === 404 || answer.status === 410 || answer.status === 409 || answer.status === 422) await anew()
  }

  /** The Subscription is gone: a new one begins now, so what is shown is asked anew. */
  async function anew(): Promise<void> {
    forget()
    changed([])
    await join()
  }

  function keep(one: Kept) {
    kept = one
    localStorage.setItem(shelf, JSON.stringify(one))
  }

  function forget() {
    kept = undefined
    localStorage.removeItem(shelf)
  }

  // Refused: not live, yet never far behind. A connection that is lost again begins anew with the next one.
  const start = () => {
    window.clearTimeout(later)
    void join().catch((error: unknown) => {
      if (!(error instanceof FhirError) || over) return
      later = window.setTimeout(() => { changed([]); start() }, AGAIN)
    })
  }
  const events = (bundle: Bundle, acknowledge: () => void) => {
    const told = eventsOf(bundle)
    if (kept === undefined || told.subscription !== kept.id) return
    const before = last(kept.id) ?? 0
    const fresh = told.events.filter(({ number }) => number > before)
    if (fresh.length > 0) {
      changed(fresh.flatMap(({ focus }) => focus ?? []))
      remember(kept.id, Math.max(...fresh.map(({ number }) => number)))
    }
    acknowledge()
  }
  const status = (told: { subscription: string; ended?: string; status?: string }) => {
    if (told.subscription !== kept?.id) return
    if (told.ended === "rights") start()
    else if (told.status === "active") changed([]) // what happened while it was not is not numbered
    else if (told.ended !== undefined || told.status === "off") void anew().catch(() => undefined)
  }
  socket.on("connect", start)
  socket.on("subscription:event", events)
  socket.on("subscription:status", status)
  if (socket.connected) start()
  return () => {
    over = true
    window.clearTimeout(later)
    socket.off("connect", start)
    socket.off("subscription:event", events)
    socket.off("subscription:status", status)
    if (socket.connected && kept !== undefined) socket.emit("subscription:leave", { subscription: kept.id })
  }
}

const last = (id: string) => {
  const found = sessionStorage.getItem(`followed:${id}`)
  return found === null ? undefined : Number(found)
}
const remember = (id: string, number: number) => sessionStorage.setItem(`followed:${id}`, String(number))

function read(shelf: string): Kept | undefined {
  try {
    return JSON.parse(localStorage.getItem(shelf) ?? "") as Kept
  } catch {
    return undefined
  }
}

let isLeaving = false
const making = new Set<Promise<void>>() // Subscriptions that are asked for

/** At sign-out: this browser is told no more. */
export async function unfollow({ server, user }: Session): Promise<void> {
  isLeaving = true // what ends now is not begun anew
  await Promise.allSettled(making)
  const mine = Object.keys(localStorage).filter((key) => key.startsWith(`follow:${user}:`))
  await Promise.allSettled(mine.map(async (key) => {
    const kept = read(key)
    localStorage.removeItem(key)
    if (kept !== undefined) await server.remove(`Subscription/${kept.id}`)
  }))
}

/** The id of a new Subscription of the topic, in place of the oldest ones where the user may have no more. */
async function subscribe({ server }: Session, topic: string): Promise<string> {
  try {
    return await created(server, topic)
  } catch (error) {
    if (!(error instanceof FhirError) || error.outcome?.issue[0]?.code !== "too-costly") throw error
    const old = await server.search<Subscription>("Subscription", { status: "requested,active,error", _sort: "_lastUpdated", _count: 200 })
    const left = matches(old).filter(({ reason }) => reason === REASON).slice(0, ROOM) // by browsers that are closed
    await Promise.allSettled(left.map(({ id = "" }) => server.remove(`Subscription/${id}`)))
    return created(server, topic)
  }
}

async function created(server: FhirServer, topic: string): Promise<string> {
  const channel = { url: `${BACKPORT}/backport-channel-type`, valueCoding: { system: SYSTEM.channel, code: "socketio" } }
  const made = await server.create<Subscription>({
    resourceType: "Subscription",
    status: "requested",
    reason: REASON,
    criteria: TOPIC(topic),
    end: new Date(Date.now() + LASTS + 60_000).toISOString(),
    channel: {
      type: "websocket",
      _type: { extension: [channel] },
      payload: "application/fhir+json",
      _payload: { extension: [{ url: `${BACKPORT}/backport-payload-content`, valueCode: "id-only" }] },
    },
  })
  if (made.id === undefined) throw new FhirError(500)
  return made.id
}

type Told = { subscription?: string; events: { number: number; focus?: string }[] }

/** What a notification says: https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html */
function eventsOf(bundle: Bundle): Told {
  const status = bundle.entry?.[0]?.resource as Parameters | undefined
  const parameters = status?.parameter ?? []
  const subscription = keyOf(parameters.find(({ name }) => name === "subscription")?.valueReference)?.split("/")[1]
  const events = parameters
    .filter(({ name }) => name === "notification-event")
    .map(({ part = [] }) => ({
      number: Number(part.find(({ name }) => name === "event-number")?.valueString ?? 0),
      focus: keyOf(part.find(({ name }) => name === "focus")?.valueReference),
    }))
  return { subscription, events }
}
