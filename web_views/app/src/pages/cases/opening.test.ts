import { expect, it } from "vitest"
import { emptyForm, opening, problemsOf } from "./opening"

const FORM = {
  ...emptyForm(),
  id: "00000000-0000-4000-8000-000000000001",
  patient: { reference: "Patient/ann", name: "Ann" },
  reason: " Chest pain ",
  symptoms: [{ id: "00000000-0000-4000-8000-000000000002", what: "Pressure", more: "" }, { id: "x", what: " ", more: "" }],
}

it("asks for the patient and the reason", () => {
  expect(Object.keys(problemsOf(emptyForm()))).toEqual(["patient", "reason"])
  expect(problemsOf(FORM)).toEqual({})
})

it("is one transaction: symptoms, then the case that refers to them, each made once", () => {
  const [symptom, encounter] = opening(FORM, "Practitioner/dora", "2026-01-01T00:00:00Z")
  expect(symptom?.request?.ifNoneExist).toBe("identifier=urn%3Aietf%3Arfc%3A3986%7Curn%3Auuid%3A00000000-0000-4000-8000-000000000002")
  expect(symptom?.resource).not.toHaveProperty("valueString")
  expect(encounter?.resource).toMatchObject({
    status: "triaged",
    reasonCode: [{ text: "Chest pain" }],
    reasonReference: [{ reference: symptom?.fullUrl, display: "Pressure" }],
    participant: [{ individual: { reference: "Practitioner/dora" } }],
  })
  expect(opening(FORM, "Practitioner/dora", "2026-01-01T00:00:00Z")).toEqual([symptom, encounter])
})

it("waits for somebody when it is not one's own", () => {
  const encounter = opening({ ...FORM, mine: false }, "Practitioner/dora", "2026-01-01T00:00:00Z").at(-1)?.resource
  expect(encounter).toMatchObject({ status: "planned" })
  expect(encounter).not.toHaveProperty("participant")
})
