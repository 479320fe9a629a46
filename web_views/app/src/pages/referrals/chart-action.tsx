import type { Patient } from "fhir/r4"
import { referenceTo } from "../../fhir/bundle"
import { Refer } from "./Refer"

export const order = 20

export default function ReferFromChart({ patient }: { patient: Patient }) {
  return <Refer patient={referenceTo(patient)} />
}
