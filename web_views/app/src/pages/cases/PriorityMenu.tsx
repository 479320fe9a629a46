import { Button, Menu } from "@mantine/core"
import { notifications } from "@mantine/notifications"
import { IconChevronDown } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { concept, SYSTEM } from "../../fhir/codes"
import { words } from "../../fhir/outcome"
import { Priority } from "../../parts/badges"
import { isOpen, PRIORITIES, priorityOf } from "./case"
import { patched, useChange } from "./useCase"

/** How urgent the case is; a click changes it, and says so. */
export function PriorityMenu({ encounter }: { encounter: Encounter }) {
  const change = useChange(encounter)
  const now = priorityOf(encounter)
  const label = PRIORITIES.find(({ value }) => value === now)?.label ?? "None"
  if (!isOpen(encounter)) return <Priority of={encounter} all />

  const set = (value: string, name: string) =>
    change.mutate(patched(encounter, [{ op: "add", path: "/priority", value: concept(SYSTEM.priority, value, name) }]), {
      onSuccess: () => notifications.show({ message: `The case is ${name.toLowerCase()} now.` }),
      onError: (error) => notifications.show({ color: "red", title: "The priority stays", message: words(error) }),
    })

  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <Button
          size="compact-sm" radius="sm" loading={change.isPending} rightSection={<IconChevronDown size={14} aria-hidden />}
          variant={now === "EM" ? "filled" : "light"} color={now === "EM" ? "red" : now === "UR" ? "orange" : "gray"}
          aria-label={`Priority: ${label}`}
        >
          {label}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {PRIORITIES.filter(({ value }) => value !== now).map((one) => (
          <Menu.Item key={one.value} onClick={() => set(one.value, one.label)}>{one.label}</Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
