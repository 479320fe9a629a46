import type { CodeableConcept, Condition } from "fhir/r4"
import { codeIn, concept } from "../../fhir/codes"
import { identifierOf } from "./opening"

const HL7 = "http://terminology.hl7.org/CodeSystem"
const VERIFICATION = `${HL7}/condition-ver-status`

export const CERTAINTIES = [
  { value: "provisional", label: "Provisional" },
  { value: "confirmed", label: "Confirmed" },
  { value: "refuted", label: "Refuted" },
]

export const certaintyOf = (condition: Condition) => codeIn(condition.verificationStatus, VERIFICATION)
export const certainty = (code: string): CodeableConcept => concept(VERIFICATION, code)

/** A diagnosis of the case as a Condition. */
export function diagnosed(sent: { id: string; what: string; certainty: string }, of: {
  patient: string
  encounter: string
  by: string
  now: string
}): Condition {
  return {
    resourceType: "Condition",
    identifier: [identifierOf(sent.id)],
    clinicalStatus: concept(`${HL7}/condition-clinical`, "active"),
    verificationStatus: certainty(sent.certainty),
    category: [concept(`${HL7}/condition-category`, "encounter-diagnosis")],
    code: { text: sent.what.trim() },
    subject: { reference: of.patient },
    encounter: { reference: of.encounter },
    recordedDate: of.now,
    recorder: { reference: of.by },
  }
}
