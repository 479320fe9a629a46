import { Divider, Stack } from "@mantine/core"
import type { DocumentReference } from "fhir/r4"
import { referenceTo } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { ShareForm } from "./ShareForm"
import { SharedWith } from "./SharedWith"

/** Who has the record, and giving it to one more. */
export default function Sharing({ document }: { document: DocumentReference }) {
  const record = referenceTo(document)
  const found = useSearch("Consent", { data: record, status: "active", _count: 100 })
  return (
    <Stack>
      <SharedWith record={record} found={found} />
      <Divider />
      <ShareForm record={record} />
    </Stack>
  )
}
