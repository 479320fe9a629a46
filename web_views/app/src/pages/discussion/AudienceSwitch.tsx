import { Group, SegmentedControl } from "@mantine/core"
import { IconEye, IconUsersGroup } from "@tabler/icons-react"
import type { Audience } from "./message"

/** For whom the next message is: the team among itself, or the patient as well. */
export function AudienceSwitch({ value, change }: { value: Audience; change: (value: Audience) => void }) {
  return (
    <SegmentedControl
      size="xs" value={value} onChange={(chosen) => change(chosen === "patient" ? "patient" : "team")} aria-label="Who sees it"
      data={[
        { value: "team", label: <Group gap={4} wrap="nowrap"><IconUsersGroup size={14} aria-hidden />Team only</Group> },
        { value: "patient", label: <Group gap={4} wrap="nowrap"><IconEye size={14} aria-hidden />To the patient</Group> },
      ]}
    />
  )
}
