import { Group, Paper, Text, Title } from "@mantine/core"
import { useId, type ReactNode } from "react"

/** A part of the case under a heading of its own, with what can be done there. */
export function Section({ title, count, actions, children }: {
  title: string
  count?: number
  actions?: ReactNode
  children: ReactNode
}) {
  const heading = useId()
  return (
    <Paper component="section" p="sm" aria-labelledby={heading}>
      <Group justify="space-between" mb={6} gap="xs" mih={30}>
        <Group gap={6}>
          <Title order={2} size="h5" id={heading}>{title}</Title>
          {count !== undefined && count > 0 && <Text size="sm" c="dimmed" aria-hidden>{count}</Text>}
        </Group>
        {actions !== undefined && <Group gap={4}>{actions}</Group>}
      </Group>
      {children}
    </Paper>
  )
}

/** Nothing there yet. */
export const Nothing = ({ children }: { children: ReactNode }) => <Text size="sm" c="dimmed">{children}</Text>
