import { Anchor, Badge, Group, Paper, Text } from "@mantine/core"
import type { AllergyIntolerance, Patient } from "fhir/r4"
import { Link } from "react-router"
import { matches } from "../fhir/bundle"
import { textOf } from "../fhir/codes"
import { useRead, useSearch } from "../fhir/hooks"
import { age, dateText } from "../words/dates"
import { nameOf } from "../words/names"
import { PersonSign } from "./Person"
import { Failure, Loading } from "./States"

/** Who this is about, on every page about somebody: name, birth, sex, identifier, allergies. */
export function PatientBanner({ patient: reference }: { patient: string }) {
  const patient = useRead<Patient>(reference)
  const allergies = useSearch<AllergyIntolerance>("AllergyIntolerance", { patient: reference, _count: 20 })
  if (patient.error) return <Failure error={patient.error} retry={() => void patient.refetch()} />
  if (patient.data === undefined) return <Loading rows={1} />
  const { data } = patient
  const facts = [
    data.birthDate === undefined ? undefined : `${dateText(data.birthDate)} (${age(data.birthDate) ?? ""})`,
    data.gender,
    data.identifier?.[0]?.value === undefined ? undefined : `No. ${data.identifier[0].value}`,
  ]
  const known = matches(allergies.data).filter(isCurrent).map((one) => textOf(one.code)).filter((one) => one !== undefined)
  return (
    <Paper component="section" aria-label="Patient" p="sm" mb="md">
      <Group gap="sm" wrap="nowrap" align="start">
        <PersonSign person={data} />
        <div style={{ minWidth: 0, flex: 1 }}>
          <Group gap="xs">
            <Anchor component={Link} to={`/patients/${data.id ?? ""}`} fw={650} c="inherit">{nameOf(data)}</Anchor>
            {data.deceasedBoolean === true || data.deceasedDateTime !== undefined ? <Badge color="gray">Deceased</Badge> : null}
          </Group>
          <Text size="sm" c="dimmed" className="numbers">{facts.filter(Boolean).join(" · ")}</Text>
        </div>
        <Group gap={4} justify="end">
          {known.slice(0, 4).map((name) => <Badge key={name} color="red">{name}</Badge>)}
          {known.length > 4 && <Badge color="red">+{known.length - 4}</Badge>}
          {allergies.data !== undefined && known.length === 0 && <Text size="xs" c="dimmed">No allergies recorded</Text>}
        </Group>
      </Group>
    </Paper>
  )
}

const isCurrent = (allergy: AllergyIntolerance) =>
  (allergy.clinicalStatus?.coding?.[0]?.code ?? "active") === "active" &&
  allergy.verificationStatus?.coding?.[0]?.code !== "entered-in-error"
