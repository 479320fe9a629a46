import { Anchor, Button, CopyButton, Group, Stack, Text } from "@mantine/core"
import { IconCopy, IconCurrentLocation } from "@tabler/icons-react"
import type { Flag, Location } from "fhir/r4"
import { lazy, Suspense, useState } from "react"
import { useRead } from "../../fhir/hooks"
import { Loading } from "../../parts/States"
import { coordinates, wayText } from "./earth"
import { placeOf } from "./emergency"
import { positionOf, type Position } from "./form"
import { PlaceWords } from "./PlaceWords"
import { whereAmI } from "./where"

const Map = lazy(() => import("./Map"))

/**
 * Where it is, without telling anybody else: the map has no streets, as they would come from a third party who would
 * learn of the place. How far it is from here is reckoned in the browser.
 */
export function PlaceSection({ flag }: { flag: Flag }) {
  const { here, reference } = placeOf(flag)
  const asked = useRead<Location>(reference)
  const position = positionOf(here ?? asked.data)
  const [own, setOwn] = useState<Position>()
  const [problem, setProblem] = useState<string>()

  function locate() {
    setProblem(undefined)
    whereAmI().then(setOwn, (error: unknown) => setProblem(error instanceof Error ? error.message : "The position is not known."))
  }

  return (
    <Stack gap="sm">
      <PlaceWords flag={flag} />
      {asked.data?.description !== undefined && <Text size="sm" c="dimmed">{asked.data.description}</Text>}
      {position !== undefined && (
        <>
          <Group gap="xs">
            <CopyButton value={coordinates(position)}>
              {({ copied, copy }) => (
                <Button size="xs" variant="default" leftSection={<IconCopy size={16} aria-hidden />} onClick={copy}>
                  {copied ? "Copied" : "Copy the position"}
                </Button>
              )}
            </CopyButton>
            <Button size="xs" variant="default" leftSection={<IconCurrentLocation size={16} aria-hidden />} onClick={locate}>
              How far is it from here?
            </Button>
            <Anchor size="sm" href={`geo:${position.latitude},${position.longitude}`}>Open in this device’s map</Anchor>
          </Group>
          <div role="status">
            {own !== undefined && (
              <Text size="sm" fw={600}>{wayText(own, position)}</Text>
            )}
            {problem !== undefined && <Text size="sm" c="red">{problem}</Text>}
          </div>
          <Suspense fallback={<Loading rows={3} />}><Map at={position} own={own} /></Suspense>
          <Text size="xs" c="dimmed">The map has no streets: the position of a patient is told to no map service.</Text>
        </>
      )}
    </Stack>
  )
}
