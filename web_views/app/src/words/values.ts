import type { Observation, ObservationComponent, Quantity } from "fhir/r4"
import { textOf } from "../fhir/codes"

const NUMBER = new Intl.NumberFormat([...navigator.languages], { maximumFractionDigits: 2 })

/** "72 kg"; a comparator stands before it. */
export function quantityText(quantity: Quantity | undefined): string | undefined {
  if (quantity?.value === undefined) return undefined
  return [`${quantity.comparator ?? ""}${NUMBER.format(quantity.value)}`, quantity.unit ?? quantity.code].filter(Boolean).join(" ")
}

/** What was observed, in words with units; components joined as "120 / 80 mmHg" where their units are one. */
export function valueText(observation: Observation): string {
  const own = valueOf(observation)
  if (own !== undefined) return own
  const parts = (observation.component ?? []).map(valueOf).filter((one) => one !== undefined)
  if (parts.length === 0) return textOf(observation.dataAbsentReason) ?? "—"
  const units = new Set(parts.map((part) => part.split(" ").slice(1).join(" ")))
  return units.size === 1 && parts.length > 1
    ? `${parts.map((part) => part.split(" ")[0]).join(" / ")} ${[...units][0] ?? ""}`.trim()
    : parts.join(", ")
}

function valueOf(one: Observation | ObservationComponent): string | undefined {
  if (one.valueBoolean !== undefined) return one.valueBoolean ? "Yes" : "No"
  if (one.valueInteger !== undefined) return NUMBER.format(one.valueInteger)
  return quantityText(one.valueQuantity) ?? textOf(one.valueCodeableConcept) ?? one.valueString ?? one.valueDateTime
}

export type Point = { time: number; [series: string]: number }
export type Series = { name: string; unit: string }

/** Numbers over time, oldest first: one series for each component, or one for the value itself. */
export function trendOf(observations: Observation[]): { points: Point[]; series: Series[] } {
  const series = new Map<string, Series>()
  const points: Point[] = []
  for (const one of observations) {
    const when = one.effectiveDateTime ?? one.effectivePeriod?.start ?? one.effectiveInstant ?? one.issued
    if (when === undefined) continue
    const point: Point = { time: new Date(when).getTime() }
    for (const part of one.valueQuantity ? [one] : (one.component ?? [])) {
      if (part.valueQuantity?.value === undefined) continue
      const name = textOf(part.code) ?? "Value"
      point[name] = part.valueQuantity.value
      series.set(name, { name, unit: part.valueQuantity.unit ?? part.valueQuantity.code ?? "" })
    }
    if (Object.keys(point).length > 1) points.push(point)
  }
  return { points: points.sort((one, other) => one.time - other.time), series: [...series.values()] }
}

/** At most `most` points or so: of each stretch of time the lowest and the highest of each series, so no peak is lost. */
export function thinned(points: Point[], series: Series[], most = 400): Point[] {
  if (points.length <= most) return points
  const size = Math.ceil((points.length * 2 * Math.max(series.length, 1)) / most)
  const kept = new Set<Point>()
  for (let start = 0; start < points.length; start += size) {
    const stretch = points.slice(start, start + size)
    for (const { name } of series) {
      const known = stretch.filter((point) => point[name] !== undefined)
      const by = (wanted: (...values: number[]) => number) => known.find((point) => point[name] === wanted(...known.map((one) => one[name] ?? 0)))
      for (const one of [by(Math.min), by(Math.max)]) if (one !== undefined) kept.add(one)
    }
  }
  return points.filter((point) => kept.has(point))
}
