import { Badge, Group, Text } from "@mantine/core"
import { IconCheck, IconMapPinFilled, IconRun, IconX, IconBell } from "@tabler/icons-react"
import { PersonName } from "../../parts/Person"
import { timeText } from "../../words/dates"
import { progressOf, type Emergency, type Progress } from "./emergency"

const LOOK: Record<Progress, { label: string; color: string; icon: typeof IconRun }> = {
  notified: { label: "asked", color: "gray", icon: IconBell },
  "en-route": { label: "on the way", color: "blue", icon: IconRun },
  "on-scene": { label: "on the scene", color: "sea", icon: IconMapPinFilled },
  finished: { label: "has finished", color: "gray", icon: IconCheck },
  declined: { label: "cannot come", color: "gray", icon: IconX },
}

/** Who answers, and how far each is; it changes by itself, and is told. */
export function Responders({ of: { responders } }: { of: Emergency }) {
  return (
    <Group gap={6} role="list" aria-label="Responders" aria-live="polite">
      {responders.map((task) => {
        const look = LOOK[progressOf(task) ?? "notified"]
        return (
          <Badge
            key={task.id} role="listitem" size="lg" color={look.color} leftSection={<look.icon size={14} aria-hidden />}
            h="auto" mih={26} styles={{ label: { whiteSpace: "normal" } }}
          >
            <PersonName reference={task.owner} /> {look.label}
            <Text span size="xs" className="numbers"> {timeText(task.lastModified)}</Text>
          </Badge>
        )
      })}
    </Group>
  )
}
