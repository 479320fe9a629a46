import { MultiSelect } from "@mantine/core"
import type { DocumentReference } from "fhir/r4"
import { matches, referenceTo } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { dateText } from "../../words/dates"
import { titleOf } from "../cases/document"

/** Documents of the patient that go along, the latest hundred. */
export function DocumentsField({ patient, value, onChange }: {
  patient: string
  value: string[]
  onChange: (documents: string[]) => void
}) {
  const found = useSearch<DocumentReference>("DocumentReference", { patient, status: "current", _sort: "-date", _count: 100 })
  const documents = matches(found.data)
  const known = documents.map((one) => ({ value: referenceTo(one), label: `${titleOf(one)}, ${dateText(one.date)}` }))
  return (
    <MultiSelect
      label="Documents" placeholder={value.length === 0 ? "Choose documents that go along" : undefined} data={known} value={value}
      onChange={onChange} searchable clearable clearButtonProps={{ "aria-label": "Clear documents" }}
      nothingFoundMessage={found.isPending ? "Loading…" : "The patient has no such document"}
      error={found.error ? "The documents could not be loaded." : undefined}
    />
  )
}
