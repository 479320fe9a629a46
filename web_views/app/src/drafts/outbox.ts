/**
 * What was sent and has not arrived: kept in this browser, sent in order, made once.
 *
 * Each entry is a resource to create, under an identifier of its own, so that trying again makes nothing twice.
 * What the server refuses holds back what was said after it in the same place, until it is retried or discarded.
 */

import type { Communication } from "fhir/r4"
import { FhirError, words } from "../fhir/outcome"

export type KeptFile = { key: string; name: string; type: string; size: number }

export type Entry = {
  id: string // a UUID; the resource's identifier is "urn:uuid:" and this
  place: string // "Encounter/1": within it the order is kept
  resource: Communication
  files: KeptFile[] // their bytes are with drafts/files.ts
  written: string // an instant
  tried: number // how often it was on its way and no answer came
  refused?: string // why, in the server's words
}

/** What may be sent now: the first entry that stands behind no refused one of its place. */
export function next(entries: readonly Entry[]): Entry | undefined {
  const held = new Set<string>()
  for (const entry of entries) {
    if (entry.refused !== undefined) held.add(entry.place)
    else if (!held.has(entry.place)) return entry
  }
  return undefined
}

export const changed = (entries: readonly Entry[], id: string, change: Partial<Entry>): Entry[] =>
  entries.map((entry) => (entry.id === id ? { ...entry, ...change } : entry))

export const without = (entries: readonly Entry[], id: string): Entry[] => entries.filter((entry) => entry.id !== id)

/** What can never be sent, whatever the server says. */
export class Unsendable extends Error {}

/** Whether it is no use to try again: everything else (no answer, busy, signed out) may go better later. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof Unsendable ||
  (error instanceof FhirError && error.status >= 400 && error.status < 500 && ![401, 408, 425, 429].includes(error.status))

type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem">
export type Send = (entry: Entry) => Promise<void>
export type Flushed = "empty" | "later"

/** The outbox of one user in this browser; all tabs share it. */
export class Outbox {
  sending: string | undefined // the entry that is on its way
  private entries: readonly Entry[]
  private running: Promise<Flushed> | undefined
  private readonly listeners = new Set<() => void>()

  constructor(
    private readonly shelf: Shelf,
    readonly key: string,
  ) {
    this.entries = this.load()
  }

  /** The same list until something changes. */
  all = (): readonly Entry[] => this.entries

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  add(entry: Entry): void {
    this.keep([...this.load(), entry])
  }

  retry(id: string): void {
    this.keep(changed(this.load(), id, { refused: undefined }))
  }

  discard(id: string): void {
    this.keep(without(this.load(), id))
  }

  /** Another tab has written. */
  reload = (): void => {
    this.entries = this.load()
    this.listeners.forEach((listener) => listener())
  }

  /** Send what waits, one after the other; "later" when the connection or the server did not let it through. */
  flush(send: Send): Promise<Flushed> {
    this.running ??= this.empty(send).finally(() => (this.running = undefined))
    return this.running
  }

  private async empty(send: Send): Promise<Flushed> {
    for (;;) {
      const entry = next(this.load())
      if (entry === undefined) return "empty"
      this.mark(entry.id)
      try {
        await send(entry)
        this.keep(without(this.load(), entry.id))
      } catch (error) {
        const failed = isRefusal(error) ? { refused: words(error) } : { tried: entry.tried + 1 }
        this.keep(changed(this.load(), entry.id, failed))
        if (!isRefusal(error)) return "later"
      } finally {
        this.mark(undefined)
      }
    }
  }

  private mark(id: string | undefined): void {
    this.sending = id
    this.reload()
  }

  private keep(entries: readonly Entry[]): void {
    if (entries.length > 0) this.shelf.setItem(this.key, JSON.stringify(entries))
    else this.shelf.removeItem(this.key)
    this.reload()
  }

  private load(): readonly Entry[] {
    try {
      return JSON.parse(this.shelf.getItem(this.key) ?? "[]") as Entry[]
    } catch {
      return []
    }
  }
}
