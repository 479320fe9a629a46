import { Button, Group, Paper, Stack, Text } from "@mantine/core"
import { IconMicrophone, IconVideo } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { Fragment } from "react"
import { keyOf } from "../../fhir/bundle"
import { PersonName } from "../../parts/Person"
import type { Wanted } from "./media"

/** Nobody is heard or seen before they say so: the way in. */
export function Before({ call, join }: { call: Encounter; join: (how: Wanted) => void }) {
  const there = (call.participant ?? []).filter(({ period }) => period?.start !== undefined && period.end === undefined)
  return (
    <Paper p="xl">
      <Stack align="center">
        <Text fw={600}>This call goes on</Text>
        <Text size="sm" c="dimmed" ta="center">
          {there.length === 0 ? "Nobody is noted as being in it." : (
            <>In it: {there.map(({ individual }, place) => (
              <Fragment key={keyOf(individual)}>{place > 0 && ", "}<PersonName reference={individual} /></Fragment>
            ))}</>
          )}
        </Text>
        <Group justify="center">
          <Button leftSection={<IconVideo size={18} aria-hidden />} onClick={() => join({ camera: true, microphone: true })}>
            Join with camera
          </Button>
          <Button variant="default" leftSection={<IconMicrophone size={18} aria-hidden />} onClick={() => join({ camera: false, microphone: true })}>
            Join with sound only
          </Button>
        </Group>
      </Stack>
    </Paper>
  )
}
