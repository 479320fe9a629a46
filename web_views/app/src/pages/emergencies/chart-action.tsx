import { Button } from "@mantine/core"
import { IconUrgent } from "@tabler/icons-react"
import type { Patient } from "fhir/r4"
import { referenceTo } from "../../fhir/bundle"
import { raiseFor } from "./asked"

export const order = 90

export default function RaiseForPatient({ patient }: { patient: Patient }) {
  return (
    <Button
      variant="light" color="red" leftSection={<IconUrgent size={18} aria-hidden />} aria-haspopup="dialog"
      onClick={() => raiseFor({ patient: referenceTo(patient) })}
    >
      Raise emergency
    </Button>
  )
}
