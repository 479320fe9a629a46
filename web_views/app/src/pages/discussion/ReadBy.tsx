import { Popover, Text, UnstyledButton } from "@mantine/core"
import { IconChecks } from "@tabler/icons-react"
import { Fragment } from "react"
import { keyOf } from "../../fhir/bundle"
import { PersonName } from "../../parts/Person"
import { momentText } from "../../words/dates"
import type { Read } from "./reading"

const NAMED = 2

/** "Read by Nick Test"; of many the number, and who and when on demand. */
export function ReadBy({ reads }: { reads: readonly Read[] }) {
  if (reads.length === 0) return <Text size="xs">Sent</Text>
  const names = reads.slice(0, NAMED)
  return (
    <Popover position="bottom-start" withinPortal width={260}>
      <Popover.Target>
        <UnstyledButton mih={24} c="dimmed" aria-label={reads.length > NAMED ? `Read by ${reads.length}, show who` : undefined}>
          <Text size="xs" span>
            <IconChecks size={14} aria-hidden style={{ verticalAlign: "text-bottom" }} /> Read by{" "}
            {reads.length > NAMED
              ? reads.length
              : names.map(({ by }, place) => <Fragment key={keyOf(by)}>{place > 0 && ", "}<PersonName reference={by} /></Fragment>)}
          </Text>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        {reads.map(({ by, at }) => (
          <Text size="sm" key={keyOf(by)}><PersonName reference={by} /> <Text span size="xs" c="dimmed">{momentText(at)}</Text></Text>
        ))}
      </Popover.Dropdown>
    </Popover>
  )
}
