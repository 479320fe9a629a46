import { Anchor, Box, Paper, Stack } from "@mantine/core"
import type { DocumentReference, Patient } from "fhir/r4"
import { useState } from "react"
import { Link, useParams } from "react-router"
import { idOf, keyOf } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { useRead } from "../../fhir/hooks"
import { FhirError } from "../../fhir/outcome"
import { useTopic } from "../../live/live"
import { Fact } from "../../parts/Fact"
import { Page } from "../../parts/Page"
import { PartyName } from "../../parts/Party"
import { PatientBanner } from "../../parts/PatientBanner"
import { Empty, Failure, Loading } from "../../parts/States"
import { momentText } from "../../words/dates"
import { titleOf } from "../cases/document"
import { DocumentTile } from "../cases/DocumentTile"
import { Viewer } from "../cases/Viewer"
import { ShareRecord } from "./ShareRecord"

/** One record by itself, for whom it is shared with and perhaps nothing else of the patient. */
export default function Record() {
  const { id = "" } = useParams()
  const record = useRead<DocumentReference>(`DocumentReference/${id}`)
  useTopic("record")
  if (record.data !== undefined) return <Known record={record.data} />
  return (
    <Page title="Record">
      {record.error instanceof FhirError && (record.error.status === 404 || record.error.status === 410)
        ? <Empty title="This record is not open to you">It is not shared with you any more, or it is not there.</Empty>
        : record.error ? <Failure error={record.error} retry={() => void record.refetch()} /> : <Loading rows={2} />}
    </Page>
  )
}

function Known({ record }: { record: DocumentReference }) {
  const patient = useRead<Patient>(keyOf(record.subject))
  const [open, setOpen] = useState(false)
  const kind = textOf(record.type)
  return (
    <Page title={titleOf(record)} lead={kind} actions={<ShareRecord document={record} />}>
      {patient.data !== undefined && <PatientBanner patient={keyOf(record.subject) ?? ""} />}
      <Paper p="md">
        <Stack gap="xs" component="dl" m={0} mb="md">
          {kind !== undefined && <Fact name="Kind">{kind}</Fact>}
          <Fact name="Date">{momentText(record.date)}</Fact>
          {(record.author ?? []).map((one) => <Fact key={keyOf(one)} name="Author"><PartyName reference={one} /></Fact>)}
          {record.description !== undefined && <Fact name="About">{record.description}</Fact>}
          {patient.data !== undefined && (
            <Fact name="Chart"><Anchor size="sm" component={Link} to={`/patients/${idOf(record.subject) ?? ""}#documents`}>All documents of the patient</Anchor></Fact>
          )}
        </Stack>
        <Box component="ul" m={0} p={0} maw={200} style={{ listStyle: "none" }}><DocumentTile of={record} open={() => setOpen(true)} /></Box>
      </Paper>
      {open && <Viewer of={record} close={() => setOpen(false)} />}
    </Page>
  )
}
