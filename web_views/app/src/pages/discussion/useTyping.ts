import { useCallback, useEffect, useRef, useState } from "react"
import { useEvent, useLive } from "../../live/live"

const AGAIN = 3000 // ms between two signs while somebody goes on typing
const SILENT = 6000 // ms without a sign, and it is over

type Sign = { caseId: string; userId: string; isTyping: boolean }

/** Who is typing about the case, and how to say that one is. Leaves no trace: docs/realtime.md */
export function useTyping(caseId: string) {
  const { socket } = useLive()
  const [who, setWho] = useState<readonly string[]>([])
  const ends = useRef(new Map<string, number>())
  const told = useRef(0)
  const timer = useRef<number>(undefined)

  const over = useCallback((userId: string) => {
    clearTimeout(ends.current.get(userId))
    ends.current.delete(userId)
    setWho((now) => now.filter((one) => one !== userId))
  }, [])

  useEvent<Sign>("case:typing", (sign) => {
    if (sign.caseId !== caseId) return
    over(sign.userId)
    if (!sign.isTyping) return
    setWho((now) => [...now, sign.userId])
    ends.current.set(sign.userId, window.setTimeout(() => over(sign.userId), SILENT))
  })

  const stop = useCallback(() => {
    clearTimeout(timer.current)
    if (told.current === 0) return
    told.current = 0
    if (socket.connected) socket.emit("case:typing", { caseId, isTyping: false })
  }, [socket, caseId])

  const type = useCallback(() => {
    clearTimeout(timer.current)
    timer.current = window.setTimeout(stop, SILENT - 1000)
    if (!socket.connected || Date.now() - told.current < AGAIN) return
    told.current = Date.now()
    socket.emit("case:typing", { caseId, isTyping: true })
  }, [socket, caseId, stop])

  useEffect(() => {
    const all = ends.current
    return () => {
      stop()
      all.forEach((end) => clearTimeout(end))
    }
  }, [stop])

  return { who, type, stop }
}
