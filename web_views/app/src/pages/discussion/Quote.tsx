import { Text, UnstyledButton } from "@mantine/core"
import type { Communication } from "fhir/r4"
import { PersonName } from "../../parts/Person"
import styles from "./discussion.module.css"
import { answeredBy, filesIn, isDeleted, saidIn } from "./message"
import { useTalk } from "./talk"

/** What a message answers; pressed, it is shown where it stands. */
export function Quote({ of }: { of: Communication }) {
  const { known, show } = useTalk()
  const id = answeredBy(of)
  const answered = id === undefined ? undefined : known.get(id)
  if (id === undefined) return null
  return (
    <UnstyledButton className={styles.quote} onClick={() => show(id)} title="Show it where it was said">
      <Quoted message={answered} />
    </UnstyledButton>
  )
}

export function Quoted({ message }: { message: Communication | undefined }) {
  if (message === undefined) return <Text size="xs" c="dimmed">An earlier message</Text>
  const text = isDeleted(message) ? "This message was deleted." : saidIn(message) || filesIn(message)[0]?.title || "A file"
  return (
    <>
      <Text size="xs" fw={600}><PersonName reference={message.sender} /></Text>
      <Text size="xs" c="dimmed" lineClamp={2}>{text}</Text>
    </>
  )
}
