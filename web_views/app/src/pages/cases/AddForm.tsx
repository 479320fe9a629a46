import { Button, Group, Stack } from "@mantine/core"
import type { ReactNode, SyntheticEvent } from "react"
import { Failure } from "../../parts/States"

/** A small form within a section: fields, what went wrong, send and leave. */
export function AddForm({ label, send, error, busy, close, leave = "Back", instead, children }: {
  label: string
  send: () => void
  error: unknown
  busy: boolean
  close: () => void
  leave?: string
  instead?: { label: string; act: () => void } // a way on from what went wrong
  children: ReactNode
}) {
  function submit(event: SyntheticEvent) {
    event.preventDefault()
    if (!busy) send()
  }
  return (
    <form onSubmit={submit} noValidate aria-label={label}>
      <Stack gap="xs">
        {children}
        {error ? <Failure error={error} /> : null}
        {instead !== undefined && <Button size="xs" variant="default" disabled={busy} onClick={instead.act} style={{ alignSelf: "start" }}>{instead.label}</Button>}
        <Group gap="xs">
          <Button type="submit" size="xs" loading={busy}>{label}</Button>
          <Button size="xs" variant="default" onClick={close}>{leave}</Button>
        </Group>
      </Stack>
    </form>
  )
}
