/** Positions on the earth, without asking anybody: https://en.wikipedia.org/wiki/Haversine_formula */

export type Point = { latitude: number; longitude: number }

const RADIUS_M = 6_371_000
const WINDS = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"]
const radians = (degrees: number) => (degrees * Math.PI) / 180

/** Metres between two points, as the crow flies. */
export function distance(from: Point, to: Point): number {
  const [dLat, dLon] = [radians(to.latitude - from.latitude), radians(to.longitude - from.longitude)]
  const half = Math.sin(dLat / 2) ** 2 + Math.cos(radians(from.latitude)) * Math.cos(radians(to.latitude)) * Math.sin(dLon / 2) ** 2
  return 2 * RADIUS_M * Math.asin(Math.min(1, Math.sqrt(half)))
}

/** The direction from one to the other, as a wind: "north-east". */
export function direction(from: Point, to: Point): string {
  const [one, other] = [radians(from.latitude), radians(to.latitude)]
  const dLon = radians(to.longitude - from.longitude)
  const east = Math.sin(dLon) * Math.cos(other)
  const north = Math.cos(one) * Math.sin(other) - Math.sin(one) * Math.cos(other) * Math.cos(dLon)
  return WINDS[(Math.round(Math.atan2(east, north) / (Math.PI / 4)) + 8) % 8] ?? "north"
}

/** "320 m", "4.2 km" */
export const distanceText = (metres: number) => (metres < 1000 ? `${Math.round(metres)} m` : `${(metres / 1000).toFixed(1)} km`)

/** How far and in which direction; what is closer than the device knows its own place is here. */
export function wayText(own: Point & { accuracy?: number }, there: Point): string {
  const metres = distance(own, there)
  if (metres <= Math.max(own.accuracy ?? 0, 10)) return "It is here, as exactly as this device knows."
  return `${distanceText(metres)} to the ${direction(own, there)} of here, as the crow flies`
}

/** "52.52000, 13.40500": five digits are about a metre. */
export const coordinates = ({ latitude, longitude }: Point) => `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`
