import { Button, type ButtonProps } from "@mantine/core"
import { useState, type ReactNode } from "react"
import { Ask } from "./Ask"

/** A button for what cannot be undone: it asks first. */
export function Confirm({ label, title, children, confirm = label, danger = false, act, ...button }: {
  label: ReactNode
  title: string
  children?: ReactNode
  confirm?: ReactNode
  danger?: boolean
  act: () => Promise<unknown>
} & ButtonProps) {
  const [opened, setOpened] = useState(false)
  return (
    <>
      <Button {...button} onClick={() => setOpened(true)}>{label}</Button>
      <Ask title={title} confirm={confirm} danger={danger} opened={opened} close={() => setOpened(false)} act={act}>{children}</Ask>
    </>
  )
}
