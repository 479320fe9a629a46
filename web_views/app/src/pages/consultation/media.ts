import { open, whyNot, type Device } from "./devices"
import type { Shown } from "./call"
import type { Tracks } from "./peer"

export type Wanted = { camera: boolean; microphone: boolean }
export type MediaState = {
  isReady: boolean // every device was asked
  microphone: MediaStreamTrack | null
  camera: MediaStreamTrack | null
  screen: MediaStreamTrack | null
  isMuted: boolean
  problems: Partial<Record<Device, string>>
}

/** What I let others hear and see. A camera that is off is off: its light goes out. */
export class Media {
  private now: MediaState = { isReady: false, microphone: null, camera: null, screen: null, isMuted: false, problems: {} }
  private readonly listeners = new Set<() => void>()
  private isOver = false

  state = (): MediaState => this.now

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  async start(wanted: Wanted): Promise<void> {
    this.isOver = false
    if (wanted.microphone) await this.turnOn("microphone")
    if (wanted.camera) await this.turnOn("camera")
    this.set({ isReady: true })
  }

  /** Silence and back; without a microphone it is asked for again. */
  async speak(): Promise<void> {
    const { microphone, isMuted } = this.now
    if (microphone === null) return this.turnOn("microphone")
    microphone.enabled = isMuted
    this.set({ isMuted: !isMuted })
  }

  async toggle(device: "camera" | "screen"): Promise<void> {
    if (this.now[device] === null) await this.turnOn(device)
    else this.turnOff(device)
  }

  stop(): void {
    this.isOver = true
    for (const device of ["microphone", "camera", "screen"] as const) this.turnOff(device)
  }

  private async turnOn(device: Device): Promise<void> {
    try {
      const track = await open(device)
      if (this.isOver) return track.stop()
      track.onended = () => this.turnOff(device, device === "screen" ? undefined : `Your ${device} was unplugged or stopped.`)
      this.set({ [device]: track, ...(device === "microphone" ? { isMuted: false } : {}), ...this.problem(device) })
    } catch (error) {
      this.set(this.problem(device, whyNot(device, error)))
    }
  }

  private turnOff(device: Device, problem?: string): void {
    this.now[device]?.stop()
    this.set({ [device]: null, ...this.problem(device, problem) })
  }

  private problem(device: Device, text?: string): Pick<MediaState, "problems"> {
    return { problems: { ...this.now.problems, [device]: text } }
  }

  private set(part: Partial<MediaState>): void {
    this.now = { ...this.now, ...part }
    this.listeners.forEach((listener) => listener())
  }
}

/** What the others get: the screen goes before the camera. */
export const tracksOf = ({ microphone, camera, screen }: MediaState): Tracks => ({ audio: microphone, video: screen ?? camera })
export const shownOf = ({ microphone, camera, screen, isMuted }: MediaState): Shown => ({
  audio: microphone !== null && !isMuted,
  video: camera !== null || screen !== null,
  screen: screen !== null,
})
