import { Button, CloseButton, Group, Select, Stack, Text } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import { IconCurrentLocation } from "@tabler/icons-react"
import type { Location } from "fhir/r4"
import { useState } from "react"
import { matches, referenceTo } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { coordinates } from "./earth"
import type { Form, Place, Position } from "./form"
import { whereAmI } from "./where"

/** A place of the house, or where this device is: which is asked for only by its button. */
export function PlaceField({ place, position, change }: {
  place?: Place
  position?: Position
  change: (changes: Pick<Form, "place" | "position">) => void
}) {
  const [typed, setTyped] = useState("")
  const [words] = useDebouncedValue(typed.trim(), 250)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()
  const asked = words === place?.display ? "" : words
  const found = useSearch<Location>("Location", { status: "active", name: asked, _sort: "name", _count: 20 })
  const names = new Map(matches(found.data).map((one) => [referenceTo(one), one.name ?? "Without a name"]))
  if (place !== undefined) names.set(place.reference, place.display)

  async function locate() {
    setBusy(true)
    setProblem(undefined)
    try {
      change({ place: undefined, position: await whereAmI() })
    } catch (error) {
      setProblem(error instanceof Error ? error.message : undefined)
    } finally {
      setBusy(false)
    }
  }

  return (
    <Stack gap={6}>
      <Group gap="sm" align="end">
        <Select
          label="Where" placeholder="A place of the house" searchable clearable style={{ flex: "1 1 220px" }}
          data={[...names].map(([value, label]) => ({ value, label }))} filter={({ options }) => options}
          value={place?.reference ?? null} onSearchChange={setTyped}
          onChange={(next) => change({
            place: next === null ? undefined : { reference: next, display: names.get(next) ?? next }, position: undefined,
          })}
          nothingFoundMessage={found.error ? "The search did not work." : "No such place. Say it in words above."}
          openOnFocus={false} comboboxProps={{ withinPortal: true, zIndex: 400 }}
        />
        <Button variant="default" loading={busy} leftSection={<IconCurrentLocation size={18} aria-hidden />} onClick={() => void locate()}>
          Use this device’s position
        </Button>
      </Group>
      <div role="status">
        {position !== undefined && (
          <Group gap={4}>
            <Text size="sm" className="numbers">{coordinates(position)}, accurate to {Math.ceil(position.accuracy)} m</Text>
            <CloseButton size="sm" aria-label="Without the position" onClick={() => change({ place, position: undefined })} />
          </Group>
        )}
        {problem !== undefined && <Text size="sm" c="red">{problem}</Text>}
      </div>
    </Stack>
  )
}
