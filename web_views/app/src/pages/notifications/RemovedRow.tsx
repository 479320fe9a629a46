import { Button, Group, Text } from "@mantine/core"
import type { Communication } from "fhir/r4"
import { useEffect, useRef } from "react"
import { textOf } from "./notice"
import type { Removals } from "./removals"

/** In place of a notification that was removed, as long as that can be undone; it waits while somebody is at it. */
export function RemovedRow({ notice, removals }: { notice: Communication; removals: Removals }) {
  const id = notice.id ?? ""
  const row = useRef<HTMLLIElement>(null)
  const undo = useRef<HTMLButtonElement>(null)
  useEffect(() => undo.current?.focus(), []) // the button that had the focus is gone
  const release = () => {
    const here = row.current
    if (here !== null && !here.matches(":hover") && !here.contains(document.activeElement)) removals.release(id)
  }
  useEffect(() => () => removals.release(id), [removals, id])
  return (
    <li
      ref={row} style={{ borderBottom: "1px solid var(--line)" }}
      onMouseEnter={() => removals.hold(id)} onFocus={() => removals.hold(id)}
      onMouseLeave={release} onBlur={() => setTimeout(release)}
    >
      <Group justify="space-between" wrap="nowrap" p={6}>
        <Text size="sm" c="dimmed" role="status" className="wrap">Removed: {textOf(notice)}</Text>
        <Button ref={undo} size="xs" variant="default" onClick={() => removals.undo(id)}>Undo</Button>
      </Group>
    </li>
  )
}
