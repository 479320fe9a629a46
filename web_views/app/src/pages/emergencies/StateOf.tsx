import { Badge, Group, Text } from "@mantine/core"
import { IconAlertTriangle } from "@tabler/icons-react"
import type { Flag } from "fhir/r4"
import { momentText, timeText } from "../../words/dates"
import { span, useNow } from "./clock"
import { deadlineOf, escalations, isActive, sinceOf, type Emergency } from "./emergency"

const TIMES = ["", "once", "twice", "three times"]
const MOST = 3 // escalations; then there is no further deadline

/** How far it is: nobody, accepted, on the scene, over; how often it was escalated, and when it will be. */
export function StateOf({ of }: { of: Emergency }) {
  const { flag, task } = of
  const level = escalations(task)
  const look = isActive(of) ? LASTS[task?.status ?? "requested"] : OVER[flag.status]
  const waits = isActive(of) && (task?.status ?? "requested") === "requested"
  const deadline = deadlineOf(task)
  return (
    <Group gap="xs">
      <Badge color={look?.color ?? "gray"} variant="light" size="lg">{look?.label ?? flag.status}</Badge>
      {level > 0 && <Badge color="orange" size="lg" leftSection={<IconAlertTriangle size={14} aria-hidden />}>Escalated {TIMES[level]}</Badge>}
      {waits && level < MOST && deadline !== undefined && <Deadline at={deadline} />}
    </Group>
  )
}

type Look = { label: string; color: string }
const LASTS: Record<string, Look> = {
  requested: { label: "Nobody has answered", color: "red" },
  accepted: { label: "Somebody is on the way", color: "blue" },
  "in-progress": { label: "Somebody is with the patient", color: "sea" },
}
const OVER: Record<string, Look> = {
  inactive: { label: "Resolved", color: "gray" },
  "entered-in-error": { label: "Entered in error", color: "gray" },
}

function Deadline({ at }: { at: string }) {
  const left = Date.parse(at) - useNow()
  return (
    <Text size="sm" className="numbers" role="timer" aria-live="off">
      {left > 0 ? `Escalated in ${span(left)}` : "Being escalated"}
    </Text>
  )
}

/** How long it lasts, or lasted, and since when. */
export function Clock({ of }: { of: Flag }) {
  const now = useNow()
  const [since, end] = [sinceOf(of), of.period?.end]
  const today = new Date(since).toDateString() === new Date(now).toDateString()
  return (
    <div style={{ textAlign: "end", flex: "none" }}>
      <Text fw={650} size="lg" className="numbers" role="timer" aria-live="off" aria-label="How long">
        {span((end === undefined ? now : Date.parse(end)) - Date.parse(since))}
      </Text>
      <Text size="xs" c="dimmed">since {today ? timeText(since) : momentText(since)}</Text>
      {end !== undefined && <Text size="xs" c="dimmed">until {timeText(end)}</Text>}
    </div>
  )
}
