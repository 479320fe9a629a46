import { useDebouncedValue } from "@mantine/hooks"
import type { Patient } from "fhir/r4"
import { useState } from "react"
import { matches } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { PersonSign } from "../../parts/Person"
import { age, dateText } from "../../words/dates"
import { nameOf } from "../../words/names"
import { SearchSelect } from "./SearchSelect"
import { patientQuery } from "../../fhir/sought"

/** Search-as-you-type for a patient: by name, birth date or identifier. */
export function PatientPicker({ error, onPick }: { error?: string; onPick: (reference: string, name: string) => void }) {
  const [text, setText] = useState("")
  const [typed] = useDebouncedValue(text, 200)
  const asked = useSearch<Patient>("Patient", patientQuery(typed), typed.trim().length >= 2)
  const found = matches(asked.data).map((patient) => ({
    value: `Patient/${patient.id ?? ""}`,
    label: nameOf(patient),
    detail: about(patient),
    sign: <PersonSign person={patient} size="sm" />,
  }))
  return (
    <SearchSelect
      label="Patient" withAsterisk placeholder="Name, birth date or number" error={error}
      text={text} onText={setText} found={found} busy={asked.isFetching || typed !== text}
      onPick={({ value, label }) => onPick(value, label)}
    />
  )
}

/** "22 Jul 1990 (36 y) · other · RB-00018": enough to tell two of the same name apart. */
function about(patient: Patient): string {
  const born = patient.birthDate && `${dateText(patient.birthDate)} (${age(patient.birthDate) ?? ""})`
  return [born, patient.gender, patient.identifier?.[0]?.value].filter(Boolean).join(" · ")
}
