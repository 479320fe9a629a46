import { Alert, Group, Text } from "@mantine/core"
import type { Encounter } from "fhir/r4"
import { Fragment } from "react"
import { CaseStatus } from "../../parts/badges"
import { PersonName } from "../../parts/Person"
import { useMe } from "../../session/session"
import { ago, momentText } from "../../words/dates"
import { cancelledFor, openedAt } from "./case"
import { PriorityMenu } from "./PriorityMenu"
import { ACTIONS } from "./sections"
import { StatusSteps } from "./StatusSteps"

/** How urgent, how far, since when; who has it open at this moment. */
export function CaseHead({ encounter, present }: { encounter: Encounter; present: ReadonlySet<string> }) {
  const opened = openedAt(encounter)
  const why = cancelledFor(encounter)
  return (
    <>
      <Group gap="xs" mb="sm">
        <PriorityMenu encounter={encounter} />
        <CaseStatus status={encounter.status} />
        <Text size="sm" c="dimmed" title={momentText(opened)}>opened {ago(opened)}</Text>
        {encounter.period?.end !== undefined && <Text size="sm" c="dimmed">ended {momentText(encounter.period.end)}</Text>}
        <Present users={present} />
      </Group>
      {why !== undefined && <Alert color="gray" mb="sm" title="Cancelled">{why}</Alert>}
    </>
  )
}

/** The row of actions: the case's own steps, and what other modules bring along. */
export function CaseActions({ encounter }: { encounter: Encounter }) {
  return (
    <>
      {ACTIONS.map((Action, place) => <Action key={place} encounter={encounter} />)}
      <StatusSteps encounter={encounter} />
    </>
  )
}

function Present({ users }: { users: ReadonlySet<string> }) {
  const { user } = useMe()
  const others = [...users].filter((one) => one !== user)
  return (
    <Text size="sm" c="dimmed" component="div" role="status">
      {others.length > 0 && (
        <>Also here: {others.map((one, place) => <Fragment key={one}>{place > 0 && ", "}<PersonName reference={one} /></Fragment>)}</>
      )}
    </Text>
  )
}
