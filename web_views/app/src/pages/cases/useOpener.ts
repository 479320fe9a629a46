import { useCallback, useRef, useState } from "react"

/** A form that a button opens beside it; closed, the focus is on the button again. */
export function useOpener(initially = false) {
  const [opened, setOpened] = useState(initially)
  const trigger = useRef<HTMLButtonElement>(null)
  const toggle = useCallback(() => setOpened((now) => !now), [])
  const close = useCallback(() => {
    setOpened(false)
    trigger.current?.focus()
  }, [])
  return { opened, trigger, toggle, close }
}
