/** What comes in one go, taken in one piece: the first at once, what follows within a moment together. */
export class Gathered<T> {
  private waiting: T[] = []
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly take: (all: T[]) => void,
    private readonly moment = 250, // ms
  ) {}

  add(one: T): void {
    this.waiting.push(one)
    this.timer ??= setTimeout(this.empty, 0)
  }

  stop(): void {
    clearTimeout(this.timer)
  }

  private readonly empty = (): void => {
    this.timer = undefined
    if (this.waiting.length === 0) return
    this.timer = setTimeout(this.empty, this.moment)
    this.take(this.waiting.splice(0))
  }
}
