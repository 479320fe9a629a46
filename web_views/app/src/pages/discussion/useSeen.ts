import { useCallback, useEffect, useRef } from "react"
import type { FhirServer } from "../../fhir/server"
import { receiptOf } from "./reading"

const GATHER = 250 // ms: what is seen together is told together
const AT_ONCE = 50

/**
 * Tells the server of messages that were really seen: in view, in a tab that is looked at.
 * `watch(id)` is the ref of an element that shows a message which waits for me.
 */
export function useSeen(server: FhirServer, connected: boolean, root: React.RefObject<HTMLElement | null>) {
  const state = useRef({ inView: new Set<string>(), told: new Set<string>(), timer: undefined as number | undefined })
  const observer = useRef<IntersectionObserver>(undefined)

  const tell = useCallback(async () => {
    const { inView, told } = state.current
    if (document.visibilityState !== "visible") return
    const ids = [...inView].filter((id) => !told.has(id)).slice(0, AT_ONCE)
    if (ids.length === 0) return
    ids.forEach((id) => told.add(id))
    try {
      await server.transaction(ids.map((id) => ({ resource: receiptOf(id), request: { method: "POST", url: "Communication" } })))
    } catch {
      ids.forEach((id) => told.delete(id)) // seen all the same: told when the connection is back, or when looked at again
    }
  }, [server])

  const soon = useCallback(() => {
    clearTimeout(state.current.timer)
    state.current.timer = window.setTimeout(() => void tell(), GATHER)
  }, [tell])

  useEffect(() => {
    document.addEventListener("visibilitychange", soon)
    if (connected) soon()
    return () => document.removeEventListener("visibilitychange", soon)
  }, [soon, connected])

  const eye = useCallback(() => {
    observer.current ??= new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const { id } = (entry.target as HTMLElement).dataset
        if (id === undefined) continue
        if (isSeen(entry)) state.current.inView.add(id)
        else state.current.inView.delete(id)
      }
      soon()
    }, { root: root.current, threshold: [0, 0.3, 0.6, 1] })
    return observer.current
  }, [root, soon])

  useEffect(() => () => {
    observer.current?.disconnect()
    observer.current = undefined
    clearTimeout(state.current.timer)
  }, [])

  return useCallback((id: string) => (element: HTMLElement | null) => {
    if (element === null) return
    element.dataset.id = id
    const watcher = eye()
    watcher.observe(element)
    return () => {
      watcher.unobserve(element)
      state.current.inView.delete(id)
    }
  }, [eye])
}

/** Most of it, or as much as fits. */
const isSeen = ({ intersectionRatio, intersectionRect, rootBounds }: IntersectionObserverEntry) =>
  intersectionRatio >= 0.6 || (rootBounds !== null && intersectionRect.height >= rootBounds.height * 0.6)
