import { Group, Stack, Text } from "@mantine/core"
import type { Encounter } from "fhir/r4"
import { textOf } from "../../fhir/codes"
import { usePages } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { CaseStatus } from "../../parts/badges"
import { More, Show } from "../../parts/States"
import { momentText } from "../../words/dates"
import { Nothing, Section } from "./Section"

/** Calls and visits within the case: Encounters that are part of it. */
export function Consultations({ encounter }: { encounter: Encounter }) {
  const asked = usePages<Encounter>("Encounter", {
    "part-of": `Encounter/${encounter.id ?? ""}`,
    _sort: "-date",
    _count: 10,
  })
  useTopic("consultation")
  return (
    <Section title="Consultations" count={asked.resources.length}>
      <Show of={asked} rows={1}>
        {() => (
          asked.resources.length === 0
            ? <Nothing>No consultation yet.</Nothing>
            : (
              <Stack component="ul" gap={6} m={0} p={0} style={{ listStyle: "none" }} aria-label="Consultations">
                {asked.resources.map((one) => (
                  <Group key={one.id} component="li" justify="space-between" wrap="nowrap" gap="xs">
                    <div>
                      <Text size="sm" fw={500}>{textOf(one.type?.[0]) ?? one.class.display ?? "Consultation"}</Text>
                      <Text size="xs" c="dimmed">{momentText(one.period?.start ?? one.meta?.lastUpdated)}</Text>
                    </div>
                    <CaseStatus status={one.status} />
                  </Group>
                ))}
              </Stack>
            )
        )}
      </Show>
      <More of={asked} />
    </Section>
  )
}
