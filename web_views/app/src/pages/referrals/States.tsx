import { Stack, Text, Timeline } from "@mantine/core"
import type { Annotation } from "fhir/r4"
import { PartyName } from "../../parts/Party"
import { TaskStatus } from "../../parts/badges"
import { momentText } from "../../words/dates"
import type { State } from "./referral"

/** The states that it was in, the first one first, and what was said to them. */
export function States({ states, notes }: { states: State[]; notes: Annotation[] }) {
  return (
    <Stack gap="md">
      <Timeline bulletSize={14} lineWidth={2} active={states.length - 1} aria-label="States">
        {states.map(({ status, at, who, said }) => (
          <Timeline.Item key={`${status}${at ?? ""}`} title={<TaskStatus status={status} />}>
            <Text size="sm">{momentText(at)}{who !== undefined && <> · <PartyName reference={who} /></>}</Text>
            {said !== undefined && <Text size="sm" className="wrap" style={{ whiteSpace: "pre-wrap" }}>“{said}”</Text>}
          </Timeline.Item>
        ))}
      </Timeline>
      {notes.map((note) => (
        <div key={`${note.time ?? ""}${note.text}`}>
          <Text size="sm" className="wrap" style={{ whiteSpace: "pre-wrap" }}>{note.text}</Text>
          <Text size="xs" c="dimmed"><PartyName reference={note.authorReference} />, {momentText(note.time)}</Text>
        </div>
      ))}
    </Stack>
  )
}
