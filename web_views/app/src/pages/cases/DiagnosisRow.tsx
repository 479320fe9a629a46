import { ActionIcon, Badge, Group, Menu, Text } from "@mantine/core"
import { notifications } from "@mantine/notifications"
import { IconDots } from "@tabler/icons-react"
import type { Bundle, Condition, Encounter, Reference } from "fhir/r4"
import { resolved } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { words } from "../../fhir/outcome"
import { PersonName } from "../../parts/Person"
import { dateText } from "../../words/dates"
import { CERTAINTIES, certainty, certaintyOf } from "./diagnosis"
import { useChange } from "./useCase"

const COLOR: Record<string, string> = { confirmed: "sea", provisional: "blue" }

/** One diagnosis: how sure, since when, by whom; how sure can change. */
export function DiagnosisRow({ reference, encounter, among, may }: {
  reference: Reference
  encounter: Encounter
  among: Bundle
  may: boolean
}) {
  const condition = resolved(among, "Condition", reference)
  const change = useChange(encounter)
  const text = textOf(condition?.code) ?? reference.display ?? "Not to be seen"
  const sure = condition && certaintyOf(condition)
  const set = (of: Condition, code: string) =>
    change.mutate((server) => server.update({ ...of, verificationStatus: certainty(code) }), {
      onError: (error) => notifications.show({ color: "red", title: "The diagnosis stays as it is", message: words(error) }),
    })
  return (
    <Group component="li" gap="xs" wrap="nowrap">
      <div style={{ flex: 1, minWidth: 0 }}>
        <Text size="sm" fw={500} className="wrap" td={sure === "refuted" ? "line-through" : undefined}>{text}</Text>
        <Text size="xs" c="dimmed">
          {dateText(condition?.recordedDate ?? condition?.onsetDateTime)}
          {condition?.recorder !== undefined && <> · <PersonName reference={condition.recorder} /></>}
        </Text>
      </div>
      {sure !== undefined && (
        <Badge color={COLOR[sure] ?? "gray"}>{CERTAINTIES.find(({ value }) => value === sure)?.label ?? sure}</Badge>
      )}
      {may && condition !== undefined && (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon color="gray" size="md" loading={change.isPending} aria-label={`How sure: ${text}`}><IconDots size={18} aria-hidden /></ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {CERTAINTIES.filter(({ value }) => value !== sure).map(({ value, label }) => (
              <Menu.Item key={value} onClick={() => set(condition, value)}>{label}</Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </Group>
  )
}
