import { Box, Group, Text, Title } from "@mantine/core"
import { useEffect, type ReactNode } from "react"

const TITLE = "title"

/** Go on from the page's heading, when what had the focus is gone. */
export function focusTitle(): void {
  if (document.activeElement === null || document.activeElement === document.body) document.getElementById(TITLE)?.focus()
}

/** A page's frame: its one heading, what it is about, and its actions. The heading is the tab's title as well. */
export function Page({ title, lead, actions, children }: {
  title: string
  lead?: ReactNode
  actions?: ReactNode
  children: ReactNode
}) {
  useEffect(() => {
    document.title = `${title} · Clinic`
  }, [title])
  return (
    <Box maw={1180} mx="auto" px={{ base: "sm", sm: "lg" }} py="lg">
      <Group justify="space-between" align="end" mb="md" gap="sm">
        <Box>
          <Title order={1} size="h2" id={TITLE} tabIndex={-1}>{title}</Title>
          {lead !== undefined && <Text c="dimmed" size="sm">{lead}</Text>}
        </Box>
        {actions !== undefined && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Box>
  )
}
