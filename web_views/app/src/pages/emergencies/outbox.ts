/**
 * Emergencies on their way to the server. They are kept in this browser until it has answered, tried again and again,
 * and never silently: whoever raised one is told that it has not gone out.
 */

import type { Flag } from "fhir/r4"
import { FhirError, SignedOut, words } from "../../fhir/outcome"
import { onceOf } from "./form"

/** waiting: no answer yet, tried again; refused: the server will not have it; old: found after a long time. */
export type State = "sending" | "waiting" | "refused" | "old" | "sent"
export type Letter = { uuid: string; flag: Flag; since: number; state: State; problem?: string; id?: string }
export type Post = (flag: Flag, once: string) => Promise<Flag>

const ANSWER_MS = 8_000 // as long as an answer may take; then it is tried again, which makes nothing twice
const OLD_MS = 10 * 60_000 // what waited so long is not sent without asking
const PAUSES_MS = [1_000, 2_000, 3_000, 5_000]

export class Outbox {
  private letters: Letter[]
  private readonly listeners = new Set<() => void>()
  private wake: () => void = () => undefined
  private awake = Promise.resolve()

  constructor(
    private readonly post: Post,
    private readonly shelf: string,
    now = Date.now(),
  ) {
    this.letters = read(shelf).filter(({ state }) => state !== "sent").map((one) => found(one, now))
    this.rearm()
    for (const { uuid, state } of this.letters) if (state === "sending") void this.send(uuid)
  }

  readonly all = () => this.letters
  readonly listen = (changed: () => void) => {
    this.listeners.add(changed)
    return () => void this.listeners.delete(changed)
  }

  /** Send it; the same one again changes nothing. */
  add(uuid: string, flag: Flag): void {
    if (this.letters.some((one) => one.uuid === uuid)) return
    this.keep([...this.letters, { uuid, flag, since: Date.now(), state: "sending" }])
    void this.send(uuid)
  }

  /** Try what was refused or is old once more. */
  again(uuid: string): void {
    this.change(uuid, { state: "sending", problem: undefined })
    void this.send(uuid)
  }

  discard(uuid: string): void {
    this.keep(this.letters.filter((one) => one.uuid !== uuid))
  }

  /** The connection is back: nobody waits out a pause. */
  readonly hurry = () => {
    const { wake } = this
    this.rearm()
    wake()
  }

  private rearm(): void {
    this.awake = new Promise((resolve) => { this.wake = resolve })
  }

  private async send(uuid: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      const letter = this.letters.find((one) => one.uuid === uuid)
      if (letter === undefined || (letter.state !== "sending" && letter.state !== "waiting")) return
      try {
        const made = await soon(this.post(letter.flag, onceOf(letter.flag)))
        this.change(uuid, { state: "sent", id: made.id, problem: undefined })
        return
      } catch (error) {
        this.change(uuid, { state: isFinal(error) ? "refused" : "waiting", problem: words(error) })
      }
      await Promise.race([pause(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 0), this.awake])
    }
  }

  private change(uuid: string, changes: Partial<Letter>): void {
    this.keep(this.letters.map((one) => (one.uuid === uuid ? { ...one, ...changes } : one)))
  }

  private keep(letters: Letter[]): void {
    this.letters = letters
    localStorage.setItem(this.shelf, JSON.stringify(letters))
    this.listeners.forEach((changed) => changed())
  }
}

/** Whether trying again is of no use without somebody doing something. */
export const isFinal = (error: unknown) =>
  error instanceof SignedOut || (error instanceof FhirError && error.status < 500 && ![408, 425, 429].includes(error.status))

const found = (one: Letter, now: number): Letter =>
  one.state === "refused" ? one : { ...one, state: now - one.since > OLD_MS ? "old" : "sending" }

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function soon<T>(answer: Promise<T>): Promise<T> {
  const late = pause(ANSWER_MS).then(() => { throw new Error("The server has not answered yet.") })
  return Promise.race([answer, late])
}

function read(shelf: string): Letter[] {
  try {
    return JSON.parse(localStorage.getItem(shelf) ?? "[]") as Letter[]
  } catch {
    return []
  }
}
