import { Group, Text } from "@mantine/core"
import { IconMapPin } from "@tabler/icons-react"
import type { Flag, Location } from "fhir/r4"
import { useRead } from "../../fhir/hooks"
import { coordinates } from "./earth"
import { placeOf } from "./emergency"
import { positionOf } from "./form"

/** Where it is, in one line; nothing when nobody said. */
export function PlaceWords({ flag }: { flag: Flag }) {
  const { here, reference, display } = placeOf(flag)
  const asked = useRead<Location>(display === undefined ? reference : undefined)
  const position = positionOf(here)
  const words = display ?? asked.data?.name ?? (position === undefined ? reference : `At ${coordinates(position)}`)
  if (words === undefined) return null
  const accuracy = position?.accuracy === undefined ? "" : `, accurate to ${position.accuracy} m`
  return (
    <Group gap={4} wrap="nowrap" mt={2}>
      <IconMapPin size={16} aria-label="Where" style={{ flex: "none" }} />
      <Text size="sm" className="numbers wrap">{words}{accuracy}</Text>
    </Group>
  )
}
