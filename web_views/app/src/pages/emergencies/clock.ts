import { useSyncExternalStore } from "react"

const SECOND = 1000
let now = Date.now()
let beat: ReturnType<typeof setInterval> | undefined
const listeners = new Set<() => void>()

function listen(changed: () => void): () => void {
  listeners.add(changed)
  beat ??= setInterval(() => {
    now = Date.now()
    listeners.forEach((one) => one())
  }, SECOND)
  return () => {
    listeners.delete(changed)
    if (listeners.size > 0) return
    clearInterval(beat)
    beat = undefined
  }
}

/** The time in ms, anew each second: one beat for all clocks on screen. */
export const useNow = () => useSyncExternalStore(listen, () => now)

/** "04:12", "1:04:12", "2 d 3 h"; never less than nothing, for clocks of devices differ. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`
  const rest = `${two(minutes)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}

const two = (number: number) => String(number).padStart(2, "0")
