import { Box, Button } from "@mantine/core"
import { IconPhoneCall } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { Link, useLocation } from "react-router"
import { idOf, matches } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { useMe } from "../../session/session"
import { VIDEO } from "./calls"

export const order = 8

/** Says on every page that a call goes on to which one was asked. */
export default function Ringing() {
  const { user, roles } = useMe()
  const { pathname } = useLocation()
  const calls = useSearch<Encounter>("Encounter", {
    participant: [user, ...roles], type: VIDEO, status: "in-progress", _sort: "-date", _count: 1,
  })
  useTopic("consultation")
  const call = matches(calls.data)[0]
  const path = `/consultations/${call?.id ?? ""}`
  const isShown = pathname === path || pathname === `/cases/${idOf(call?.partOf) ?? ""}` // where its own button is
  return (
    <div role="status">
      {call !== undefined && !isShown && (
        <Button component={Link} to={path} size="xs" px="xs" aria-label="Call goes on">
          <IconPhoneCall size={16} aria-hidden />
          <Box component="span" visibleFrom="xs" ml={6}>Call goes on</Box>
        </Button>
      )}
    </div>
  )
}
