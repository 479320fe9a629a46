import { Group, Text } from "@mantine/core"
import type { ReactNode } from "react"

/** One fact: what, beside it what of it, and when. */
export function Line({ what, more, when }: { what: ReactNode; more?: ReactNode; when?: ReactNode }) {
  return (
    <Group justify="space-between" wrap="nowrap" gap="sm" py={4} align="baseline">
      <Text size="sm" className="wrap">
        {what}
        {more !== undefined && <Text span c="dimmed" size="sm"> {more}</Text>}
      </Text>
      {when !== undefined && <Text size="xs" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>{when}</Text>}
    </Group>
  )
}
