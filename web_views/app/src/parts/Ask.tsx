import { Button, Group, Modal, Stack, Text } from "@mantine/core"
import { useState, type ReactNode } from "react"
import { words } from "../fhir/outcome"

/** A question before what cannot be undone: it waits, and stays open with the reason when it failed. */
export function Ask({ title, children, confirm, danger = true, opened, close, act }: {
  title: string
  children?: ReactNode
  confirm: ReactNode
  danger?: boolean
  opened: boolean
  close: () => void
  act: () => Promise<unknown>
}) {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()

  async function go() {
    setBusy(true)
    setProblem(undefined)
    try {
      await act()
      close()
    } catch (error) {
      setProblem(words(error))
    } finally {
      setBusy(false)
    }
  }

  return (
    <Modal opened={opened} onClose={close} title={title}>
      <Stack>
        {children}
        {problem !== undefined && <Text c="red" size="sm" role="alert">{problem}</Text>}
        <Group justify="end">
          <Button variant="default" onClick={close}>Back</Button>
          <Button color={danger ? "red" : undefined} loading={busy} onClick={() => void go()}>{confirm}</Button>
        </Group>
      </Stack>
    </Modal>
  )
}
