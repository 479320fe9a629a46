import { Badge, Tooltip } from "@mantine/core"
import { IconClockPause, IconSendOff } from "@tabler/icons-react"
import { useEffect, useEffectEvent } from "react"
import { useOutbox } from "../../drafts/useOutbox"
import { useRefresh } from "../../fhir/hooks"
import { useLive } from "../../live/live"
import { useMe } from "../../session/session"
import { deliver } from "./send"

export const order = 5

const PAUSES = [2, 5, 15, 30, 60] // seconds between tries

/** Sends what waits in the outbox, whichever page is open, and says how much does. */
export default function Outgoing() {
  const { entries } = useOutbox()
  useSending()
  if (entries.length === 0) return null
  const refused = entries.filter(({ refused: reason }) => reason !== undefined).length
  const text = refused > 0 ? `${refused} not sent` : `${entries.length} waiting`
  const about = refused > 0
    ? "The server has refused a message: open its case to see why."
    : "Messages that are sent once the connection is there. They are kept in this browser."
  return (
    <Tooltip label={about} multiline maw={260}>
      <Badge
        color={refused > 0 ? "red" : "orange"} tabIndex={0} role="status" aria-label={`Messages: ${text}. ${about}`}
        leftSection={refused > 0 ? <IconSendOff size={14} aria-hidden /> : <IconClockPause size={14} aria-hidden />}
      >
        {text}
      </Badge>
    </Tooltip>
  )
}

/** Try whenever something is added and when the connection comes back; else again after a while. */
function useSending() {
  const { server } = useMe()
  const { outbox, entries } = useOutbox()
  const { connected } = useLive()
  const refresh = useRefresh()
  const ready = entries.filter(({ refused }) => refused === undefined).map(({ id }) => id).join()

  const flush = useEffectEvent(() =>
    alone(() => outbox.flush(async (entry) => {
      await deliver(server, entry)
      await refresh("Communication") // it is in the list before it leaves the outbox
    })))

  useEffect(() => {
    if (ready === "" || !connected) return
    let timer: number | undefined
    let tries = 0
    let over = false
    const go = () =>
      void flush().then((came) => {
        if (came !== "later" || over) return
        timer = window.setTimeout(go, 1000 * (PAUSES[tries] ?? 60))
        tries = Math.min(tries + 1, PAUSES.length - 1)
      })
    go()
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [ready, connected])
}

/** One tab of the browser at a time. */
const alone = <T,>(act: () => Promise<T>): Promise<T> =>
  "locks" in navigator ? navigator.locks.request("outbox", act) : act()
