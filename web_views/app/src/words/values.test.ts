import type { Observation } from "fhir/r4"
import { expect, test } from "vitest"
import { thinned, trendOf, valueText } from "./values"

const base: Observation = { resourceType: "Observation", status: "final", code: { text: "Something" } }
const mmHg = (value: number) => ({ value, unit: "mmHg" })
const pressure = (when: string, upper: number, lower: number): Observation => ({
  ...base,
  effectiveDateTime: when,
  component: [
    { code: { text: "Systolic" }, valueQuantity: mmHg(upper) },
    { code: { text: "Diastolic" }, valueQuantity: mmHg(lower) },
  ],
})

test.each([
  [{ ...base, valueQuantity: { value: 72, unit: "kg" } }, "72 kg"],
  [{ ...base, valueQuantity: { value: 5, comparator: "<" as const, code: "mg/L" } }, "<5 mg/L"],
  [pressure("2026-01-01", 120, 80), "120 / 80 mmHg"],
  [{ ...base, valueBoolean: false }, "No"],
  [{ ...base, valueCodeableConcept: { text: "Positive" } }, "Positive"],
  [{ ...base, dataAbsentReason: { text: "Not done" } }, "Not done"],
  [base, "—"],
])("what was observed, in words", (observation, said) => expect(valueText(observation)).toBe(said))

test("components are series of their own, oldest first", () => {
  const { points, series } = trendOf([pressure("2026-02-01T10:00:00Z", 130, 85), pressure("2026-01-01T10:00:00Z", 120, 80)])
  expect(series.map(({ name, unit }) => `${name} ${unit}`)).toEqual(["Systolic mmHg", "Diastolic mmHg"])
  expect(points.map((point) => point["Systolic"])).toEqual([120, 130])
})

test("what has no time or no number is in no trend", () => {
  expect(trendOf([base, { ...base, effectiveDateTime: "2026-01-01", valueString: "high" }]).points).toEqual([])
})

test("thinned keeps every peak, and few are as they are", () => {
  const many = Array.from({ length: 5000 }, (_, time) => ({ time, Pulse: time === 1234 ? 190 : time === 4321 ? 20 : 70 + (time % 3) }))
  const series = [{ name: "Pulse", unit: "/min" }]
  const few = thinned(many, series)
  expect(few.length).toBeLessThanOrEqual(400)
  expect(few.filter(({ Pulse }) => Pulse === 190 || Pulse === 20).map(({ time }) => time)).toEqual([1234, 4321])
  expect(thinned(many.slice(0, 400), series)).toHaveLength(400)
})
