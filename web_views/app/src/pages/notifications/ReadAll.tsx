import { Button, Text } from "@mantine/core"
import type { Communication } from "fhir/r4"
import { useState } from "react"
import { words } from "../../fhir/outcome"
import { useReading, useUnread } from "./useNotices"

/** Reads all that were sent until the newest that is shown. */
export function ReadAll({ newest }: { newest: Communication | undefined }) {
  const unread = useUnread() ?? 0
  const { readAll } = useReading()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()

  async function go() {
    setBusy(true)
    setProblem(undefined)
    await readAll(newest).catch((error: unknown) => setProblem(words(error)))
    setBusy(false)
  }

  return (
    <>
      {problem !== undefined && <Text size="xs" c="red" role="alert">{problem}</Text>}
      <Button size="xs" variant="default" disabled={unread === 0 && !busy} loading={busy} onClick={() => void go()}>Mark all as read</Button>
    </>
  )
}
