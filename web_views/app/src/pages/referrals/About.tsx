import { Paper, Text } from "@mantine/core"
import type { Patient, Task } from "fhir/r4"
import { keyOf } from "../../fhir/bundle"
import { useRead } from "../../fhir/hooks"
import { FhirError } from "../../fhir/outcome"
import { PatientBanner } from "../../parts/PatientBanner"
import { Failure, Loading } from "../../parts/States"
import { isHouse, isOver } from "./referral"

/** The patient, as far as the user may see them: the chart opens and closes with the referral. */
export function About({ task }: { task: Task }) {
  const reference = keyOf(task.for)
  const patient = useRead<Patient>(reference)
  if (reference === undefined) return null
  if (patient.error instanceof FhirError)
    return (
      <Paper p="sm" mb="md" component="section" aria-label="Patient">
        <Text size="sm">{closed(task)}</Text>
      </Paper>
    )
  if (patient.data !== undefined) return <PatientBanner patient={reference} />
  return patient.error ? <Failure error={patient.error} retry={() => void patient.refetch()} /> : <Loading rows={1} />
}

function closed(task: Task): string {
  if (isOver(task)) return "The chart of this patient is closed to you: the referral is over."
  if (isHouse(task.owner) && task.status === "requested") return "The chart of this patient opens to the one who accepts."
  return "The chart of this patient is not open to you."
}
