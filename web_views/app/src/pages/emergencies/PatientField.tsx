import { Select } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import type { Patient } from "fhir/r4"
import { useState } from "react"
import { matches, referenceTo } from "../../fhir/bundle"
import { useRead, useSearch } from "../../fhir/hooks"
import { dateText } from "../../words/dates"
import { nameOf } from "../../words/names"
import { soughtBy } from "../../fhir/sought"

const MOST = 10

/** A patient, found by the beginnings of their names, birth date or number; "Patient/1". */
export function PatientField({ value, choose, error }: {
  value?: string
  choose: (patient: string | undefined) => void
  error?: string
}) {
  const chosen = useRead<Patient>(value)
  const [typed, setTyped] = useState("")
  const [words] = useDebouncedValue(typed.trim(), 250)
  const own = chosen.data === undefined ? undefined : lineOf(chosen.data)
  const asks = words.length > 1 && words !== own
  const found = useSearch<Patient>("Patient", { ...soughtBy(words), _count: MOST }, asks)
  const others = asks ? matches(found.data).filter((one) => referenceTo(one) !== value) : []
  const data = [...(chosen.data === undefined ? [] : [chosen.data]), ...others]
  return (
    <Select
      label="Patient" required searchable clearable data-autofocus={value === undefined || undefined}
      placeholder="Name, birth date or number" error={error}
      data={data.map((one) => ({ value: referenceTo(one), label: lineOf(one) }))}
      value={value ?? null} onChange={(next) => choose(next ?? undefined)}
      onSearchChange={setTyped}
      filter={({ options }) => options}
      nothingFoundMessage={said(asks, found)}
      openOnFocus={false} comboboxProps={{ withinPortal: true, zIndex: 400 }}
    />
  )
}

const lineOf = (one: Patient) =>
  [nameOf(one), one.birthDate === undefined ? undefined : dateText(one.birthDate), one.identifier?.[0]?.value]
    .filter((part) => part !== undefined).join(", ")

function said(asks: boolean, found: { error: unknown; isFetching: boolean }): string {
  if (!asks) return "Type two letters or more."
  if (found.error) return "The search did not work. Try again, or call for help."
  return found.isFetching ? "Searching…" : "Nobody of this name or number."
}
