import type { Position } from "./form"

const WAIT_MS = 10_000

/** Where this device is; the browser asks its user first. Raises an Error with words for the user. */
export const whereAmI = (): Promise<Position> =>
  new Promise((resolve, reject) => {
    if (!("geolocation" in navigator)) return reject(new Error("This device tells no position. Say the place in words."))
    navigator.geolocation.getCurrentPosition(
      ({ coords: { latitude, longitude, accuracy } }) => resolve({ latitude, longitude, accuracy }),
      ({ code }) => reject(new Error(WHY[code] ?? "The position is not known.")),
      // None of before: in half a minute an ambulance is some streets further.
      { enableHighAccuracy: true, timeout: WAIT_MS, maximumAge: 0 },
    )
  })

const WHY: Record<number, string> = {
  1: "The browser was not allowed to tell the position. Say the place in words.",
  2: "The device does not know its position. Say the place in words.",
  3: "The device has not found its position in time. Try again, or say the place in words.",
}
