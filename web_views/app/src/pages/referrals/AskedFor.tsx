import { Anchor, Stack, Text } from "@mantine/core"
import type { DocumentReference, Reference, ServiceRequest, Task } from "fhir/r4"
import { Link } from "react-router"
import { idOf, keyOf } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { useRead } from "../../fhir/hooks"
import { Fact } from "../../parts/Fact"
import { PartyName } from "../../parts/Party"
import { momentText } from "../../words/dates"
import { titleOf } from "../cases/document"
import { urgencyText } from "./asking"

/** What the request says: of whom, how urgently, why, with which documents, out of which case. */
export function AskedFor({ request, task }: { request: ServiceRequest; task: Task }) {
  const reasons = (request.reasonCode ?? []).map(textOf).filter((one) => one !== undefined)
  const documents = (request.supportingInfo ?? []).filter((one) => keyOf(one)?.startsWith("DocumentReference/"))
  return (
    <Stack gap="xs" component="dl" m={0}>
      <Fact name="Asked">{textOf(request.code) ?? "—"}</Fact>
      <Fact name="Of"><PartyName reference={task.owner} /></Fact>
      <Fact name="By"><PartyName reference={task.requester} />, {momentText(task.authoredOn)}</Fact>
      <Fact name="Urgency">{urgencyText(task.priority)}</Fact>
      {reasons.length > 0 && <Fact name="Why"><Text size="sm" className="wrap" style={{ whiteSpace: "pre-wrap" }}>{reasons.join("\n")}</Text></Fact>}
      {documents.length > 0 && (
        <Fact name="Documents">
          <Stack gap={2}>{documents.map((one) => <Document key={keyOf(one)} reference={one} />)}</Stack>
        </Fact>
      )}
      {request.encounter !== undefined && (
        <Fact name="Case"><Anchor size="sm" component={Link} to={`/cases/${idOf(request.encounter) ?? ""}`}>Open the case</Anchor></Fact>
      )}
    </Stack>
  )
}

function Document({ reference }: { reference: Reference }) {
  const document = useRead<DocumentReference>(keyOf(reference))
  if (document.error) return <Text size="sm" c="dimmed">A document that is not open to you</Text>
  return (
    <Anchor size="sm" component={Link} to={`/records/${idOf(reference) ?? ""}`}>
      {document.data === undefined ? "…" : titleOf(document.data)}
    </Anchor>
  )
}
