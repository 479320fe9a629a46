import { Button, Group, Text } from "@mantine/core"
import { IconAlertTriangle, IconClockPause, IconPaperclip } from "@tabler/icons-react"
import { forgetFile } from "../../drafts/files"
import type { Entry } from "../../drafts/outbox"
import { useOutbox } from "../../drafts/useOutbox"
import { useLive } from "../../live/live"
import styles from "./discussion.module.css"
import { audienceOfNew, saidIn } from "./message"

/** One's own message that has not arrived: why, and what can be done. */
export function Waiting({ entry }: { entry: Entry }) {
  const { outbox, entries, sending } = useOutbox()
  const { connected } = useLive()
  const isRefused = entry.refused !== undefined
  const isHeld = entries.slice(0, entries.indexOf(entry)).some((one) => one.place === entry.place && one.refused !== undefined)
  const isGoing = sending === entry.id

  function discard() {
    outbox.discard(entry.id)
    for (const { key } of entry.files) void forgetFile(key).catch(() => undefined)
  }

  return (
    <li className={`${styles.message} ${styles.mine} ${styles.first} ${styles.late}`} aria-busy={isGoing}>
      <Text size="sm" fw={600} px={4}>You</Text>
      <div className={styles.bubble}>
        <Text size="sm" className={styles.said}>{saidIn(entry.resource)}</Text>
        {entry.files.map(({ key, name }) => (
          <Group key={key} gap={4} c="dimmed"><IconPaperclip size={14} aria-hidden /><Text size="xs">{name}</Text></Group>
        ))}
        {audienceOfNew(entry.resource) === "patient" && <Text size="xs" className={styles.sign}>To the patient</Text>}
        <Group gap={6} mt={2} className={isRefused ? styles.bad : undefined} c={isRefused ? undefined : "dimmed"}>
          {isRefused ? <IconAlertTriangle size={14} aria-hidden /> : <IconClockPause size={14} aria-hidden />}
          <Text size="xs">{isRefused ? `Not sent: ${entry.refused ?? ""}` : stateOf(isGoing, isHeld, connected)}</Text>
        </Group>
        {!isGoing && (
          <Group gap={6} mt={4}>
            {isRefused && <Button size="compact-xs" onClick={() => outbox.retry(entry.id)}>Try again</Button>}
            <Button size="compact-xs" variant="default" onClick={discard}>Discard</Button>
          </Group>
        )}
      </div>
    </li>
  )
}

function stateOf(isGoing: boolean, isHeld: boolean, connected: boolean): string {
  if (isGoing) return "Sending …"
  if (isHeld) return "Waiting for the one above"
  return connected ? "Waiting: sent in a moment" : "Waiting: sent once there is a connection"
}
