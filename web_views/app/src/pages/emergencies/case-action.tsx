import { Button } from "@mantine/core"
import { IconUrgent } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { keyOf, referenceTo } from "../../fhir/bundle"
import { raiseFor } from "./asked"

export const order = 90

/** Raise an emergency of a case: its people may end it as well. */
export default function RaiseForCase({ encounter }: { encounter: Encounter }) {
  const about = { patient: keyOf(encounter.subject), encounter: referenceTo(encounter) }
  return (
    <Button variant="light" color="red" leftSection={<IconUrgent size={18} aria-hidden />} aria-haspopup="dialog" onClick={() => raiseFor(about)}>
      Raise emergency
    </Button>
  )
}
