import { Button } from "@mantine/core"
import { notifications } from "@mantine/notifications"
import { IconPhoneCall, IconVideo } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { useState } from "react"
import { useNavigate } from "react-router"
import { matches } from "../../fhir/bundle"
import { useRefresh, useSearch } from "../../fhir/hooks"
import { words } from "../../fhir/outcome"
import { useTopic } from "../../live/live"
import { useMe } from "../../session/session"
import type { OfCase } from "../cases/section"
import { runningIn } from "./calls"
import { callOf } from "./record"

export const order = 20

const OVER: Encounter["status"][] = ["finished", "cancelled", "entered-in-error"]

/** Begin a call about the case; when one goes on, it says so and leads there. */
export default function CallAction({ encounter }: OfCase) {
  const { server, user, roles } = useMe()
  const navigate = useNavigate()
  const refresh = useRefresh()
  const [busy, setBusy] = useState(false)
  const running = matches(useSearch<Encounter>("Encounter", { ...runningIn(encounter), _count: 1 }).data)[0]
  useTopic("consultation")
  if (running === undefined && OVER.includes(encounter.status)) return null

  async function go() {
    setBusy(true)
    try {
      const call = running ?? (await callOf(server, encounter, [user, ...roles]))
      void refresh("Encounter")
      await navigate(`/consultations/${call.id ?? ""}`, { state: { come: { camera: true, microphone: true } } })
    } catch (error) {
      notifications.show({ color: "red", title: "There is no call", message: words(error) })
    } finally {
      setBusy(false)
    }
  }

  return (
    <Button
      variant={running === undefined ? "default" : "filled"} loading={busy} onClick={() => void go()}
      leftSection={running === undefined ? <IconVideo size={18} aria-hidden /> : <IconPhoneCall size={18} aria-hidden />}
    >
      {running === undefined ? "Call" : "Join the call"}
    </Button>
  )
}
