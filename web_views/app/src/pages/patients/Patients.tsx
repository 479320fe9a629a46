import { Group, Paper, Stack, Text, TextInput } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import { IconSearch } from "@tabler/icons-react"
import type { Patient } from "fhir/r4"
import { Link, useSearchParams } from "react-router"
import { usePages } from "../../fhir/hooks"
import { soughtBy } from "../../fhir/sought"
import { Page } from "../../parts/Page"
import { PersonSign } from "../../parts/Person"
import { Empty, Failure, Loading, More } from "../../parts/States"
import { age, dateText } from "../../words/dates"
import { nameOf } from "../../words/names"

/** Whoever one may see, by name, date of birth or number. */
export default function Patients() {
  const [query, setQuery] = useSearchParams()
  const typed = query.get("q") ?? ""
  const [asked] = useDebouncedValue(typed, 250)
  const found = usePages<Patient>("Patient", { ...soughtBy(asked), _sort: "family,given", _count: 25, _total: "accurate" })
  return (
    <Page title="Patients" lead={found.total === undefined ? " " : `${found.total} found`}>
      <TextInput
        label="Search" placeholder="Name, date of birth (1961-04-02) or number" leftSection={<IconSearch size={18} aria-hidden />}
        value={typed} autoFocus mb="md" maw={480} type="search"
        onChange={(event) => setQuery(event.currentTarget.value === "" ? {} : { q: event.currentTarget.value }, { replace: true })}
      />
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Loading /> : null}
      {found.data !== undefined && found.resources.length === 0 && (
        <Empty title="Nobody is found">Look at the spelling, or search by the date of birth. You see those whom you may see.</Empty>
      )}
      <Stack gap="xs" component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-label="Patients">
        {found.resources.map((patient) => <PatientRow key={patient.id} of={patient} />)}
      </Stack>
      <More of={found} />
    </Page>
  )
}

function PatientRow({ of }: { of: Patient }) {
  const born = of.birthDate === undefined ? undefined : `${dateText(of.birthDate)} (${age(of.birthDate) ?? ""})`
  return (
    <li>
      <Link className="row-link" to={`/patients/${of.id ?? ""}`}>
        <Paper className="row" p="sm">
          <Group gap="sm" wrap="nowrap">
            <PersonSign person={of} />
            <div style={{ minWidth: 0 }}>
              <Text fw={600} truncate>{nameOf(of)}</Text>
              <Text size="sm" c="dimmed" truncate className="numbers">
                {[born, of.gender, of.identifier?.[0]?.value].filter(Boolean).join(" · ")}
              </Text>
            </div>
          </Group>
        </Paper>
      </Link>
    </li>
  )
}
