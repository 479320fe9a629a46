/** What the guide has words for (ig/input/fsh/emergency.fsh). They are here so that raising one needs no look-up. */

import type { CodeableConcept, Flag } from "fhir/r4"
import { codeIn, SYSTEM } from "../../fhir/codes"

export const PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
export const PRIORITIES = "http://hl7.org/fhir/flag-priority-code"
export type Gravity = "PH" | "PM" | "PL"

export const GRAVITIES: { value: Gravity; label: string }[] = [
  { value: "PH", label: "High" },
  { value: "PM", label: "Medium" },
  { value: "PL", label: "Low" },
]

export const KINDS = [
  { value: "sos", label: "SOS without further detail" },
  { value: "medical", label: "Medical emergency" },
  { value: "cardiac-arrest", label: "Cardiac arrest" },
  { value: "chest-pain", label: "Chest pain" },
  { value: "stroke", label: "Stroke" },
  { value: "breathing", label: "Trouble breathing" },
  { value: "bleeding", label: "Severe bleeding" },
  { value: "trauma", label: "Trauma" },
  { value: "obstetric", label: "Obstetric emergency" },
  { value: "psychiatric", label: "Psychiatric emergency" },
]

export const gravityText = (gravity: Gravity) => GRAVITIES.find(({ value }) => value === gravity)?.label ?? gravity
const labelOf = (kind: string | undefined) => KINDS.find(({ value }) => value === kind)?.label

/** Flag.code: the kind, and the words beside it. */
export function codeOf(kind: string, words: string): CodeableConcept {
  const coding = [{ system: SYSTEM.emergencyKind, code: kind, display: labelOf(kind) }]
  return words.trim() === "" ? { coding } : { coding, text: words.trim() }
}

/** What is wrong in short, and in the words of who raised it. */
export function whatOf({ code }: Flag): { title: string; words?: string } {
  const kind = labelOf(codeIn(code, SYSTEM.emergencyKind)) ?? code.coding?.find(({ display }) => display)?.display
  if (kind === undefined) return { title: code.text ?? "Emergency" }
  return { title: kind, words: code.text === kind ? undefined : code.text }
}
