import { Badge, Group, Text } from "@mantine/core"
import type { Bundle, Encounter } from "fhir/r4"
import { textOf } from "../../fhir/codes"
import { useLive } from "../../live/live"
import { Confirm } from "../../parts/Confirm"
import { PersonName, PersonSign } from "../../parts/Person"
import { useMe } from "../../session/session"
import { nameOf } from "../../words/names"
import type { Worker } from "./case"
import { aboutOf, personOf } from "./seek"
import { patched, useChange } from "./useCase"

/** One who works on the case: name, part, online or not; taken off it again. */
export function WorkerRow({ of, encounter, among, may }: { of: Worker; encounter: Encounter; among: Bundle; may: boolean }) {
  const { user, roles } = useMe()
  const { online } = useLive()
  const change = useChange(encounter)
  const { person, role } = personOf(among, of.key)
  const mine = [user, ...roles].includes(of.key)
  const here = person !== undefined && online.has(`Practitioner/${person.id ?? ""}`)
  const name = person === undefined ? <PersonName reference={role?.practitioner ?? of.part.individual} /> : nameOf(person)
  const about = [textOf(of.part.type?.[0]), role && aboutOf([role])].filter(Boolean).join(" · ")
  const end = () =>
    change.mutateAsync(
      patched(encounter, [{ op: "add", path: `/participant/${of.place}/period/end`, value: new Date().toISOString() }]),
    )
  return (
    <Group component="li" gap="sm" wrap="nowrap">
      {person !== undefined && <PersonSign person={person} size="sm" />}
      <div style={{ flex: 1, minWidth: 0 }}>
        <Text size="sm" fw={500} className="wrap">{name}{mine && " (you)"}</Text>
        {about !== "" && <Text size="xs" c="dimmed">{about}</Text>}
      </div>
      {here && <Badge color="green">Online</Badge>}
      {may && (
        <Confirm
          size="compact-xs" variant="subtle" color="gray"
          label={mine ? "Leave" : <>Remove<span className="visually-hidden"> {name}</span></>}
          title={mine ? "Leave this case?" : "Take them off this case?"} confirm={mine ? "Leave case" : "Take off"}
          act={end}
        >
          <Text size="sm">
            {mine ? "You change it no more" : "They change it no more"}, and what the case opened of the patient's record closes again.
          </Text>
        </Confirm>
      )}
    </Group>
  )
}
