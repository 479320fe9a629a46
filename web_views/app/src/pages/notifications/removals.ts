/**
 * Notifications that are being removed. What was removed does not come back, so the server hears of it only when it
 * can be undone no more: a while later, or, when the tab was closed meanwhile, as soon as the app runs again.
 */

export type Removal = { id: string; unread: boolean }
type Send = (id: string) => Promise<unknown>

const WHILE = 10_000 // in which it can be undone

export class Removals {
  private list: readonly Removal[]
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>()
  private readonly heard = new Set<() => void>()

  constructor(
    private readonly shelf: string,
    private readonly send: Send,
  ) {
    this.list = read(shelf)
    for (const { id } of this.list) this.begin(id, 0)
  }

  /** Those that wait, the same array until something changes. */
  readonly all = (): readonly Removal[] => this.list

  readonly listen = (hear: () => void): (() => void) => {
    this.heard.add(hear)
    return () => void this.heard.delete(hear)
  }

  remove(one: Removal): void {
    this.set([...this.list.filter(({ id }) => id !== one.id), one])
    this.begin(one.id)
  }

  undo(id: string): void {
    this.hold(id)
    this.set(this.list.filter((one) => one.id !== id))
  }

  /** Somebody is at it, with pointer or keyboard: it waits for them. */
  hold(id: string): void {
    clearTimeout(this.timers.get(id))
    this.timers.delete(id)
  }

  release(id: string): void {
    if (this.list.some((one) => one.id === id) && !this.timers.has(id)) this.begin(id)
  }

  private begin(id: string, after = WHILE): void {
    this.timers.set(id, setTimeout(() => void this.finish(id), after))
  }

  private async finish(id: string): Promise<void> {
    try {
      await this.send(id)
      this.timers.delete(id)
      this.set(this.list.filter((one) => one.id !== id))
    } catch {
      this.begin(id) // there is no connection, say: it stays on the list and is tried again
    }
  }

  private set(list: readonly Removal[]): void {
    this.list = list
    if (list.length === 0) localStorage.removeItem(this.shelf)
    else localStorage.setItem(this.shelf, JSON.stringify(list))
    this.heard.forEach((hear) => hear())
  }
}

function read(shelf: string): readonly Removal[] {
  try {
    return JSON.parse(localStorage.getItem(shelf) ?? "[]") as Removal[]
  } catch {
    return []
  }
}
