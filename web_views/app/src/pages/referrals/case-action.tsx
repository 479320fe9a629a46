import type { Encounter } from "fhir/r4"
import { keyOf } from "../../fhir/bundle"
import { Refer } from "./Refer"

export const order = 20

export default function ReferFromCase({ encounter }: { encounter: Encounter }) {
  const patient = keyOf(encounter.subject)
  return patient === undefined ? null : <Refer patient={patient} encounter={encounter} />
}
