import { Anchor, Badge, Group, Paper, Text } from "@mantine/core"
import { IconClock, IconWifi } from "@tabler/icons-react"
import type { ContactPoint } from "fhir/r4"
import { PersonSign } from "../../parts/Person"
import { nameOf } from "../../words/names"
import { hoursText, isOnDuty } from "./duty"
import { aboutRole, type Member } from "./member"

/** One of the staff: what they do, whether they are there, how to reach them. */
export function MemberRow({ of: { person, roles }, here, now }: { of: Member; here: boolean; now: Date }) {
  const duty = roles.some((role) => isOnDuty(role, now))
  const hours = [...new Set(roles.flatMap((role) => role.availableTime?.map(hoursText) ?? []))]
  return (
    <Paper component="li" p="sm" aria-label={nameOf(person)}>
      <Group gap="sm" justify="space-between">
        <Group gap="sm" wrap="nowrap" style={{ minWidth: 0, flex: "1 1 260px" }}>
          <PersonSign person={person} />
          <div style={{ minWidth: 0 }}>
            <Text fw={600} className="wrap">{nameOf(person)}</Text>
            {roles.map((role) => <Text key={role.id} size="sm" c="dimmed" className="wrap">{aboutRole(role)}</Text>)}
            {hours.length > 0 && <Text size="xs" c="dimmed" className="numbers">{hours.join("; ")}</Text>}
          </div>
        </Group>
        <Group gap="md" style={{ flex: "0 1 auto" }}>
          {telecoms(person.telecom).map(({ value, href }) => (
            <Anchor key={href} href={href} size="sm" className="numbers wrap" style={{ minHeight: 24 }}>{value}</Anchor>
          ))}
          {duty && <Badge color="sea" leftSection={<IconClock size={14} aria-hidden />}>On duty</Badge>}
          {here && <Badge color="green" leftSection={<IconWifi size={14} aria-hidden />}>Online</Badge>}
        </Group>
      </Group>
    </Paper>
  )
}

const SCHEMES: Partial<Record<string, string>> = { phone: "tel:", email: "mailto:", sms: "sms:" }

const telecoms = (all: ContactPoint[] = []) =>
  all.flatMap(({ system, value }) => {
    const scheme = SCHEMES[system ?? ""]
    return scheme === undefined || value === undefined ? [] : [{ value, href: scheme + value.replaceAll(" ", "") }]
  })
