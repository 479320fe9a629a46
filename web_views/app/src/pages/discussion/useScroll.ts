import { useLayoutEffect, useRef, useState, type RefObject } from "react"
import type { Item } from "./timeline"

const NEAR = 40 // px from the end count as there

/** Keeps the window where it was looked at: at the end, or at the same message when earlier ones come above it. */
export function useScroll(scroller: RefObject<HTMLDivElement | null>, items: readonly Item[]) {
  const [atEnd, setAtEnd] = useState(true)
  const was = useRef<{ first?: string; last?: string; height: number; isOpen: boolean; atEnd: boolean }>({
    height: 0, isOpen: false, atEnd: true,
  })

  function toEnd() {
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight })
  }

  function onScroll() {
    const element = scroller.current
    if (element === null) return
    was.current.atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR
    setAtEnd(was.current.atEnd)
  }

  const first = items.find(({ kind }) => kind === "message" || kind === "waiting")?.key
  const last = items.at(-1)
  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null || last === undefined) return
    const before = was.current
    if (!before.isOpen) {
      const line = element.querySelector<HTMLElement>("[data-unread]")
      element.scrollTo({ top: line === null ? element.scrollHeight : line.offsetTop - 60 })
      onScroll()
    } else if (before.first !== first && before.last === last.key) {
      element.scrollBy({ top: element.scrollHeight - before.height })
    } else if (before.atEnd || (last.kind === "waiting" && before.last !== last.key)) {
      element.scrollTo({ top: element.scrollHeight })
    } else onScroll()
    was.current = { ...was.current, first, last: last.key, height: element.scrollHeight, isOpen: true }
  })

  return { atEnd, toEnd, onScroll }
}
