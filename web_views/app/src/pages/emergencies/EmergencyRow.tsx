import { Anchor, Badge, Group, Paper, Stack, Text } from "@mantine/core"
import { Link } from "react-router"
import { age } from "../../words/dates"
import { nameOf } from "../../words/names"
import { Actions } from "./Actions"
import { gravityOf, isActive, type Emergency } from "./emergency"
import { Clock, StateOf } from "./StateOf"
import { gravityText, whatOf } from "./kinds"
import { PlaceWords } from "./PlaceWords"
import { Responders } from "./Responders"

const COLOR = { PH: "red", PM: "orange", PL: "gray" } as const

/** An emergency on the board: what, who, since when, how far, who comes, and what one can do. */
export function EmergencyRow({ of }: { of: Emergency }) {
  const { flag, patient } = of
  const { title, words } = whatOf(flag)
  const who = patient === undefined ? (flag.subject.display ?? "Patient") : nameOf(patient)
  const about = [age(patient?.birthDate), patient?.gender, patient?.identifier?.[0]?.value].filter(Boolean).join(" · ")
  const gravity = gravityOf(flag)
  const edge = isActive(of) ? `var(--mantine-color-${COLOR[gravity]}-filled)` : "var(--line)"
  return (
    <Paper component="li" p="sm" aria-label={`${title}, ${who}`} style={{ borderInlineStart: `6px solid ${edge}` }}>
      <Stack gap="xs">
        <Group justify="space-between" align="start" wrap="nowrap" gap="sm">
          <div style={{ minWidth: 0 }}>
            <Group gap={8}>
              <Badge color={COLOR[gravity]} variant={gravity === "PH" ? "filled" : "light"}>{gravityText(gravity)}</Badge>
              <Anchor component={Link} to={`/emergencies/${flag.id ?? ""}`} fw={650} c="inherit" td="underline" className="wrap">
                {title}: {who}
              </Anchor>
              <Text size="sm" c="dimmed" className="numbers">{about}</Text>
            </Group>
            {words !== undefined && <Text size="sm" className="wrap" mt={2}>{words}</Text>}
            <PlaceWords flag={flag} />
          </div>
          <Clock of={flag} />
        </Group>
        <StateOf of={of} />
        <Responders of={of} />
        <Actions of={of} />
      </Stack>
    </Paper>
  )
}
