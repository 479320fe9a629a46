import type { Bundle, Encounter } from "fhir/r4"
import { useParams } from "react-router"
import { keyOf, resolved } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { useRoom, useTopic } from "../../live/live"
import { caseStatusText } from "../../parts/badges"
import { Page } from "../../parts/Page"
import { PatientBanner } from "../../parts/PatientBanner"
import { Empty, Failure, Loading } from "../../parts/States"
import { numberOf, reasonOf } from "./case"
import { CaseActions, CaseHead } from "./CaseHead"
import { Layout } from "./Layout"
import { useCase } from "./useCase"

/** One case: about whom, how far, what is known, who talks about it. Live. */
export default function CasePage() {
  const { id = "" } = useParams()
  const { encounter, among, error, isPending, refetch } = useCase(id)
  useTopic("case")
  useTopic("record")
  if (encounter !== undefined && among !== undefined) return <Case encounter={encounter} among={among} />
  return (
    <Page title="Case">
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Loading /> : null}
      {among !== undefined && <Empty title="There is no such case">It was deleted, or you may not see it.</Empty>}
    </Page>
  )
}

function Case({ encounter, among }: { encounter: Encounter; among: Bundle }) {
  const present = useRoom(encounter.id)
  const patient = keyOf(encounter.subject)
  const number = numberOf(encounter)
  const symptom = resolved(among, "Observation", encounter.reasonReference?.[0])
  const reason = reasonOf(encounter) ?? textOf(symptom?.code)
  return (
    <Page title={reason ?? number ?? "Case"} lead={reason === undefined ? undefined : number} actions={<CaseActions encounter={encounter} />}>
      <div role="status" className="visually-hidden">{`The case is: ${caseStatusText(encounter.status)}`}</div>
      <CaseHead encounter={encounter} present={present} />
      {patient !== undefined && <PatientBanner patient={patient} />}
      <Layout key={encounter.id} encounter={encounter} among={among} />
    </Page>
  )
}
