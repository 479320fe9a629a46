import { Box, Button, Divider, Paper, Text } from "@mantine/core"
import { IconArrowDown } from "@tabler/icons-react"
import type { ReactNode, RefObject } from "react"
import { dayText } from "./days"
import { Message } from "./Message"
import styles from "./discussion.module.css"
import type { Item } from "./timeline"
import { useScroll } from "./useScroll"
import { Waiting } from "./Waiting"

/** The messages in a window of their own: it opens at what is new, and stays at the end when one is there. */
export function Messages({ items, scroller, waiting, children }: {
  items: readonly Item[]
  scroller: RefObject<HTMLDivElement | null>
  waiting: number // for me to read
  children: ReactNode
}) {
  const { atEnd, toEnd, onScroll } = useScroll(scroller, items)
  return (
    <Box pos="relative">
      <Paper ref={scroller} className={styles.window} onScroll={onScroll} tabIndex={0} role="region" aria-label="Messages" p="sm">
        {items.length === 0 && (
          <Text c="dimmed" size="sm" ta="center" py="xl">
            Nothing was said yet. What you write here is for the team, unless you turn it to the patient.
          </Text>
        )}
        <ol className={styles.list}>
          {children}
          {items.map((item) => <Line key={item.key} item={item} />)}
        </ol>
      </Paper>
      {!atEnd && (
        <Button
          className={styles.jump} size="xs" radius="xl" leftSection={<IconArrowDown size={14} aria-hidden />} onClick={toEnd}
        >
          {waiting > 0 ? `Newest (${waiting} unread)` : "Newest"}
        </Button>
      )}
    </Box>
  )
}

function Line({ item }: { item: Item }) {
  switch (item.kind) {
    case "day":
      return <li><Divider my="xs" label={<Text size="xs" c="dimmed">{dayText(item.at)}</Text>} /></li>
    case "unread":
      return (
        <li data-unread>
          <Divider my="xs" color="red" labelPosition="right" label={<Text size="xs" fw={650} className={styles.new}>New</Text>} />
        </li>
      )
    case "waiting":
      return <Waiting entry={item.entry} />
    case "message":
      return <Message message={item.message} follows={item.follows} />
  }
}
