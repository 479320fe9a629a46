import { Anchor } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import type { Encounter } from "fhir/r4"
import { useState } from "react"
import { Link, useLocation, useNavigate, useParams } from "react-router"
import { keyOf } from "../../fhir/bundle"
import { useRead } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { Page } from "../../parts/Page"
import { PatientBanner } from "../../parts/PatientBanner"
import { Empty, Failure, Loading, Waiting } from "../../parts/States"
import { useMe } from "../../session/session"
import { momentText } from "../../words/dates"
import Discussion from "../discussion/Discussion"
import { Before } from "./Before"
import { isCall, isRunning } from "./calls"
import { iceServers } from "./ice"
import type { Wanted } from "./media"
import { Room } from "./Room"

/** A call about a case: before one is in, within, and after it. */
export default function Consultation() {
  const { id = "" } = useParams()
  const asked = useRead<Encounter>(`Encounter/${id}`)
  useTopic("consultation")
  const call = asked.data
  if (call === undefined)
    return (
      <Page title="Call">
        {asked.error ? <Failure error={asked.error} retry={() => void asked.refetch()} /> : <Loading />}
      </Page>
    )
  if (!isCall(call))
    return <Page title="Call"><Empty title="This is no call">It may be a visit, or a case of its own.</Empty></Page>
  return <Known key={id} call={call} />
}

function Known({ call }: { call: Encounter }) {
  const { server } = useMe()
  const navigate = useNavigate()
  // Kept with this entry of the browser's history: who reloads is in again.
  const come = (useLocation().state as { come?: Wanted } | null)?.come
  const [wanted, setWanted] = useState<Wanted | undefined>(come)
  const ice = useQuery({ queryKey: ["ice"], queryFn: () => iceServers(server), staleTime: 60_000 })
  const of = keyOf(call.partOf)
  const patient = keyOf(call.subject)
  const toCase = of === undefined ? "/worklist" : `/cases/${of.split("/")[1] ?? ""}`

  function join(how: Wanted) {
    setWanted(how)
    void navigate(".", { replace: true, state: { come: how } })
  }

  return (
    <Page
      title="Call"
      lead={<>Began {momentText(call.period?.start)} · <Anchor component={Link} to={toCase} size="sm" underline="always">To the case</Anchor></>}
    >
      {patient !== undefined && <PatientBanner patient={patient} />}
      {!isRunning(call) && <Over call={call} />}
      {isRunning(call) && wanted === undefined && <Before call={call} join={join} />}
      {isRunning(call) && wanted !== undefined && ice.data === undefined && <Waiting label="Preparing the call" />}
      {isRunning(call) && wanted !== undefined && ice.data !== undefined && (
        <Room call={call} ice={ice.data} wanted={wanted} leave={() => void navigate(toCase)} />
      )}
    </Page>
  )
}

function Over({ call }: { call: Encounter }) {
  return (
    <>
      <Empty title={call.status === "finished" ? "This call is over" : "This call does not go on"}>
        {call.period?.end === undefined ? "" : `It ended ${momentText(call.period.end)}.`} What was written in it stays below.
      </Empty>
      <Discussion encounter={call} />
    </>
  )
}
