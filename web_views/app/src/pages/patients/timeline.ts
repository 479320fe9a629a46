import type { Bundle, FhirResource } from "fhir/r4"
import { textOf } from "../../fhir/codes"

export type Happening = { key: string; when: string; kind: string; what: string; link?: string }

/** What the timeline is made of: type, its sort, and what it is called. */
export const KINDS = [
  { type: "Encounter", sort: "-date", label: "Visit" },
  { type: "Condition", sort: "-recorded-date", label: "Problem" },
  { type: "Procedure", sort: "-date", label: "Procedure" },
  { type: "Immunization", sort: "-date", label: "Vaccination" },
  { type: "DiagnosticReport", sort: "-date", label: "Report" },
  { type: "DocumentReference", sort: "-date", label: "Document" },
] as const

/** Everything that has a time, newest first. */
export function timeline(bundles: (Bundle<FhirResource> | undefined)[]): Happening[] {
  const all = bundles.flatMap((bundle) => (bundle?.entry ?? []).flatMap(({ resource }) => (resource ? happening(resource) : [])))
  return all.sort((one, other) => time(other.when) - time(one.when))
}

function happening(resource: FhirResource): Happening[] {
  const when = whenOf(resource)
  if (when === undefined) return []
  const key = `${resource.resourceType}/${resource.id ?? ""}`
  const kind = KINDS.find(({ type }) => type === resource.resourceType)?.label ?? resource.resourceType
  const what = whatOf(resource)
  if (resource.resourceType !== "Encounter" || resource.class.code !== "VR") return [{ key, when, kind, what }]
  const isCall = resource.partOf !== undefined
  return [{ key, when, kind: isCall ? "Call" : "Case", what, link: `/${isCall ? "consultations" : "cases"}/${resource.id ?? ""}` }]
}

function whenOf(one: FhirResource): string | undefined {
  switch (one.resourceType) {
    case "Encounter":
      return one.period?.start
    case "Condition":
      return one.onsetDateTime ?? one.recordedDate
    case "Procedure":
      return one.performedDateTime ?? one.performedPeriod?.start
    case "Immunization":
      return one.occurrenceDateTime
    case "DiagnosticReport":
      return one.effectiveDateTime ?? one.issued
    case "DocumentReference":
      return one.date
    default:
      return undefined
  }
}

function whatOf(one: FhirResource): string {
  switch (one.resourceType) {
    case "Encounter":
      return textOf(one.type?.[0]) ?? one.identifier?.[0]?.value ?? one.class.display ?? "Visit"
    case "Immunization":
      return textOf(one.vaccineCode) ?? "Vaccination"
    case "DocumentReference":
      return one.description ?? textOf(one.type) ?? "Document"
    case "Condition":
    case "Procedure":
    case "DiagnosticReport":
      return textOf(one.code) ?? one.resourceType
    default:
      return one.resourceType
  }
}

const time = (when: string) => new Date(when.length === 4 ? `${when}-01-01` : when).getTime()
