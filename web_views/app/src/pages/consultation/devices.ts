/** Camera, microphone and screen of this computer, and what to say when they are not there. */

export type Device = "camera" | "microphone" | "screen"

/** Why a device cannot be used, and what to do. */
export function whyNot(device: Device, error: unknown): string {
  const name = error instanceof DOMException ? error.name : ""
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return device === "screen"
        ? "The screen is not shared: you chose none, or the browser may not."
        : `The browser may not use your ${device}. Allow it beside the address, then turn it on here.`
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${device} was found. Plug one in, then turn it on here.`
    case "NotReadableError":
    case "AbortError":
      return `Your ${device} is used by another program. Close that, then turn it on here.`
  }
  return `Your ${device} cannot be used.`
}

/** A track of the device; raises what `whyNot` explains. */
export async function open(device: Device): Promise<MediaStreamTrack> {
  const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices // not there on an address without https
  if (devices === undefined) throw new DOMException("", "SecurityError")
  const stream = device === "screen"
    ? await devices.getDisplayMedia({ video: true })
    : await devices.getUserMedia(device === "camera" ? { video: { width: { ideal: 1280 } } } : { audio: true })
  const track = stream.getTracks()[0]
  if (track === undefined) throw new DOMException("", "NotFoundError")
  return track
}
