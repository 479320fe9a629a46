import { Badge, Box, Button, Group } from "@mantine/core"
import { IconUrgent } from "@tabler/icons-react"
import { useEffect, useState, useSyncExternalStore } from "react"
import { Link, useLocation } from "react-router"
import { useLive } from "../../live/live"
import { useMe } from "../../session/session"
import { useActive, useNews } from "./active"
import { Alerts } from "./Alerts"
import { closeDialog, raiseFor, useAsked } from "./asked"
import { Corner } from "./Corner"
import { Outbox } from "./outbox"
import { aboutOf } from "./about"
import { RaiseDialog } from "./RaiseDialog"
import { Unsent } from "./Unsent"

export const order = 10

/** Always there: how many emergencies last, and how to raise one. What is alarming stands below it until it is seen. */
export default function EmergencyTop() {
  const { server, user } = useMe()
  const { socket } = useLive()
  const { pathname } = useLocation()
  const allowed = useNews()
  const active = useActive(allowed)
  const asked = useAsked()
  const [outbox] = useState(() => new Outbox((flag, once) => server.create(flag, once), `draft:${user}:emergencies`))
  const letters = useSyncExternalStore(outbox.listen, outbox.all)

  useEffect(() => {
    window.addEventListener("online", outbox.hurry)
    socket.on("connect", outbox.hurry)
    return () => {
      window.removeEventListener("online", outbox.hurry)
      socket.off("connect", outbox.hurry)
    }
  }, [outbox, socket])

  if (!allowed) return null
  const { total } = active
  return (
    <Group gap={4} wrap="nowrap">
      {total !== undefined && total > 0 && (
        <Badge
          component={Link} to="/emergencies" color="red" size="lg" circle={total < 10} style={{ cursor: "pointer" }}
          aria-label={`${total} active ${total === 1 ? "emergency" : "emergencies"}`}
        >
          {total}
        </Badge>
      )}
      <Button
        color="red" size="sm" px="xs" aria-label="Emergency" aria-haspopup="dialog"
        onClick={() => raiseFor(aboutOf(pathname))}
      >
        <IconUrgent size={20} aria-hidden />
        <Box component="span" visibleFrom="xs" ml={6}>Emergency</Box>
      </Button>
      <Corner label="News of emergencies">
        <Unsent letters={letters} outbox={outbox} hidden={asked !== undefined} />
        <Alerts of={active} />
      </Corner>
      {asked !== undefined && <RaiseDialog key={asked.turn} asked={asked} outbox={outbox} letters={letters} close={closeDialog} />}
    </Group>
  )
}
