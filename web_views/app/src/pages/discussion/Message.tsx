import { Group, Text } from "@mantine/core"
import { IconEye } from "@tabler/icons-react"
import type { Communication } from "fhir/r4"
import { useMemo, useState } from "react"
import { keyOf } from "../../fhir/bundle"
import { PersonName } from "../../parts/Person"
import { momentText, timeText } from "../../words/dates"
import styles from "./discussion.module.css"
import { Edit } from "./Edit"
import { FileOf } from "./FileOf"
import { audienceOf, filesIn, isDeleted, isEdited, isFromPatient, saidIn } from "./message"
import { MessageActions } from "./MessageActions"
import { Quote } from "./Quote"
import { ReadBy } from "./ReadBy"
import { useTalk } from "./talk"

/** One message: who, when, to whom, what, and who has read it. A deleted one stays as a place. */
export function Message({ message, follows }: { message: Communication; follows: boolean }) {
  const { mine, isWaiting, watch, reads } = useTalk()
  const [editing, setEditing] = useState(false)
  const id = message.id ?? ""
  const isMine = mine.includes(keyOf(message.sender) ?? "")
  const isGone = isDeleted(message)
  const isOpen = audienceOf(message) === "patient" && !isGone
  const waits = isWaiting(message)
  const ref = useMemo(() => (waits ? watch(id) : undefined), [waits, watch, id])
  const look = [styles.message, isMine && styles.mine, !follows && styles.first, isOpen && styles.open, isGone && styles.gone]
  return (
    <li ref={ref} data-message={id} tabIndex={-1} className={look.filter(Boolean).join(" ")}>
      {!follows && (
        <Group gap={8} px={4}>
          <Text size="sm" fw={600}>{isMine ? "You" : <PersonName reference={message.sender} />}</Text>
          {isFromPatient(message) && <Text size="xs" className={styles.sign}>Patient’s side</Text>}
        </Group>
      )}
      <div className={styles.bubble}>
        <Quote of={message} />
        {isGone && <Text size="sm" fs="italic" c="dimmed">This message was deleted.</Text>}
        {editing && <Edit message={message} close={() => setEditing(false)} />}
        {!editing && !isGone && saidIn(message) !== "" && <Text size="sm" className={styles.said}>{saidIn(message)}</Text>}
        {!isGone && filesIn(message).map((file, place) => <FileOf key={file.url ?? place} file={file} />)}
        <Group gap={8} wrap="nowrap" justify="space-between">
          <Group gap={8} c="dimmed">
            <Text size="xs" component="time" dateTime={message.sent} title={momentText(message.sent)}>{timeText(message.sent)}</Text>
            {isEdited(message) && <Text size="xs" title={momentText(message.meta?.lastUpdated)}>edited</Text>}
            {isOpen && !isFromPatient(message) && (
              <Group gap={3} className={styles.sign}>
                <IconEye size={14} aria-hidden /><Text size="xs" fw={600}>The patient sees this</Text>
              </Group>
            )}
            {isMine && !isGone && <ReadBy reads={reads.get(id) ?? []} />}
          </Group>
          {!isGone && !editing && <MessageActions message={message} isMine={isMine} edit={() => setEditing(true)} />}
        </Group>
      </div>
    </li>
  )
}
