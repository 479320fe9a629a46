import type { CodeableConcept, Coding, Resource } from "fhir/r4"

const GUIDE = "http://fhir-server.example/ig"
const HL7 = "http://terminology.hl7.org/CodeSystem"

/** Code systems, by what they are for. */
export const SYSTEM = {
  act: `${HL7}/v3-ActCode`,
  priority: `${HL7}/v3-ActPriority`,
  category: `${HL7}/communication-category`,
  caseNumber: `${GUIDE}/sid/case-number`,
  message: `${GUIDE}/CodeSystem/message-kind`,
  flagCategory: `${GUIDE}/CodeSystem/flag-category`,
  emergencyKind: `${GUIDE}/CodeSystem/emergency-kind`,
  taskKind: `${GUIDE}/CodeSystem/task-kind`,
  responder: `${GUIDE}/CodeSystem/responder-status`,
  escalation: `${GUIDE}/CodeSystem/escalation-level`,
  shareLevel: `${GUIDE}/CodeSystem/share-level`,
  recordLabel: `${GUIDE}/CodeSystem/record-label`,
  channel: `${GUIDE}/CodeSystem/subscription-channel`,
  consultation: `${GUIDE}/CodeSystem/consultation-type`,
  meeting: `${GUIDE}/CodeSystem/meeting-provider`,
  taskCode: "http://hl7.org/fhir/CodeSystem/task-code",
  snomed: "http://snomed.info/sct",
  loinc: "http://loinc.org",
  ucum: "http://unitsofmeasure.org",
} as const

export const TOPIC = (name: string) => `${GUIDE}/SubscriptionTopic/${name}`
export const THUMBNAIL = "http://hl7.org/fhir/StructureDefinition/documentreference-thumbnail"

export const concept = (system: string, code: string, display?: string): CodeableConcept => ({
  coding: [{ system, code, display }],
})

type Concepts = CodeableConcept | CodeableConcept[] | undefined
const codings = (concepts: Concepts): Coding[] =>
  (Array.isArray(concepts) ? concepts : concepts ? [concepts] : []).flatMap((one) => one.coding ?? [])

/** The first code of this system. */
export const codeIn = (concepts: Concepts, system: string) =>
  codings(concepts).find((coding) => coding.system === system)?.code

export const hasCode = (concepts: Concepts, system: string, code: string) =>
  codings(concepts).some((coding) => coding.system === system && coding.code === code)

/** What a person reads of a concept: its text, else a display, else a code. */
export function textOf(concept: CodeableConcept | undefined): string | undefined {
  const coding = concept?.coding?.find((one) => one.display !== undefined) ?? concept?.coding?.[0]
  return concept?.text ?? coding?.display ?? coding?.code
}

export const hasLabel = (resource: Resource | undefined, code: string) =>
  resource?.meta?.security?.some((label) => label.code === code) ?? false
