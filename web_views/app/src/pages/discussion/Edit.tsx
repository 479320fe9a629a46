import { Button, Group, Stack, Text, Textarea } from "@mantine/core"
import type { Communication } from "fhir/r4"
import { useState } from "react"
import { useDraft } from "../../drafts/draft"
import { referenceTo } from "../../fhir/bundle"
import { useRefresh } from "../../fhir/hooks"
import { FhirError, words } from "../../fhir/outcome"
import { useMe } from "../../session/session"
import styles from "./discussion.module.css"
import { filesIn, reworded, saidIn } from "./message"

/** Other words for one's own message. Kept as a draft until they are stored. */
export function Edit({ message, close }: { message: Communication; close: () => void }) {
  const { server } = useMe()
  const refresh = useRefresh()
  const [text, setText, clear] = useDraft(`message:${message.id ?? ""}`, saidIn(message))
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const isEmpty = text.trim() === "" && filesIn(message).length === 0
  const isOld = problem instanceof FhirError && (problem.status === 412 || problem.status === 409)

  function leave() {
    clear()
    close()
  }

  async function store() {
    setBusy(true)
    setProblem(undefined)
    try {
      const payload = reworded(message, text.trim())
      await server.patch(referenceTo(message), [{ op: "replace", path: "/payload", value: payload }], message.meta?.versionId)
      await refresh("Communication")
      leave()
    } catch (error) {
      await refresh("Communication")
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }

  return (
    <Stack gap={6} miw={240}>
      <Textarea
        aria-label="Edit the message" autosize minRows={1} maxRows={10} value={text} data-autofocus autoFocus
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => { if (event.key === "Escape") leave() }}
      />
      {problem !== undefined && <Text size="xs" className={styles.bad} role="alert">{words(problem)}</Text>}
      {isOld && <Text size="xs">It says now: {saidIn(message)}</Text>}
      <Group gap={6}>
        <Button size="compact-sm" loading={busy} disabled={isEmpty} onClick={() => void store()}>Save</Button>
        <Button size="compact-sm" variant="default" onClick={leave}>Cancel</Button>
      </Group>
    </Stack>
  )
}
