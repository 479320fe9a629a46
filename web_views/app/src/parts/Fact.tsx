import { Group, Text } from "@mantine/core"
import type { ReactNode } from "react"

/** A name and what it is, one line of a list of facts (`dl`). */
export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <Group gap="xs" wrap="nowrap" align="start">
      <Text component="dt" size="sm" c="dimmed" w={96} style={{ flexShrink: 0 }}>{name}</Text>
      <Text component="dd" size="sm" m={0} className="wrap" style={{ minWidth: 0 }}>{children}</Text>
    </Group>
  )
}
