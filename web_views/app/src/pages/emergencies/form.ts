import type { Extension, Flag, Location } from "fhir/r4"
import { concept, SYSTEM } from "../../fhir/codes"
import { codeOf, PRIORITIES, PRIORITY, type Gravity } from "./kinds"

export type Position = { latitude: number; longitude: number; accuracy: number }
export type Place = { reference: string; display: string }

/** What the dialog asks. `uuid` is made once for the form: however often it is sent, it is one emergency. */
export type Form = {
  uuid: string
  patient?: string
  encounter?: string
  kind: string
  gravity: Gravity
  words: string
  place?: Place
  position?: Position
}

const DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
const SYSTEM_OF_UUIDS = "urn:ietf:rfc:3986"

export const emptyForm = (patient?: string, encounter?: string): Form =>
  ({ uuid: crypto.randomUUID(), patient, encounter, kind: "sos", gravity: "PH", words: "" })

/** The Flag of an emergency: docs/workflows/emergencies.md */
export function flagOf(form: Form, patient: string): Flag {
  const extension: Extension[] = [{ url: PRIORITY, valueCodeableConcept: concept(PRIORITIES, form.gravity) }]
  const flag: Flag = {
    resourceType: "Flag",
    identifier: [{ system: SYSTEM_OF_UUIDS, value: `urn:uuid:${form.uuid}` }],
    extension,
    status: "active",
    category: [concept(SYSTEM.flagCategory, "emergency")],
    code: codeOf(form.kind, form.words),
    subject: { reference: patient },
  }
  if (form.encounter !== undefined) flag.encounter = { reference: form.encounter }
  if (form.place !== undefined) extension.push({ url: DETAIL, valueReference: form.place })
  else if (form.position !== undefined) {
    flag.contained = [here(form.position)]
    extension.push({ url: DETAIL, valueReference: { reference: "#here" } })
  }
  return flag
}

/** With it a repeated call makes nothing twice. */
export const onceOf = (flag: Flag) =>
  `identifier=${encodeURIComponent(`${flag.identifier?.[0]?.system ?? ""}|${flag.identifier?.[0]?.value ?? ""}`)}`

// R4 has no element for how exact a position is, so the description says it.
const ACCURACY = /accurate to (\d+) m/
const here = ({ latitude, longitude, accuracy }: Position): Location => ({
  resourceType: "Location",
  id: "here",
  mode: "instance",
  description: `Where the device was that raised it, accurate to ${Math.ceil(accuracy)} m`,
  position: { latitude, longitude },
})

/** The position of a Location, as exact as it says it is. */
export function positionOf(location: Location | undefined): (Omit<Position, "accuracy"> & { accuracy?: number }) | undefined {
  if (location?.position === undefined) return undefined
  const metres = ACCURACY.exec(location.description ?? "")?.[1]
  const { latitude, longitude } = location.position
  return { latitude, longitude, accuracy: metres === undefined ? undefined : Number(metres) }
}
