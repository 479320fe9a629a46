import { Button, Group, Stack } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import type { Encounter } from "fhir/r4"
import { useState } from "react"
import { useSearch } from "../../fhir/hooks"
import { useLive } from "../../live/live"
import { Failure } from "../../parts/States"
import { workersOf } from "./case"
import { SearchSelect } from "./SearchSelect"
import { colleagues, staffQueries, type Colleague } from "./seek"
import { useChange } from "./useCase"

/** Search staff by name or specialty, and assign them: `Encounter/$assign`, which opens the patient's record to them. */
export function AssignForm({ encounter, close }: { encounter: Encounter; close: () => void }) {
  const { online } = useLive()
  const [text, setText] = useState("")
  const [chosen, setChosen] = useState<Colleague>()
  const [typed] = useDebouncedValue(text, 200)
  const asks = typed.trim().length >= 2
  const queries = staffQueries(typed)
  const people = useSearch("Practitioner", queries.people, asks)
  const roles = useSearch("PractitionerRole", queries.roles, asks)
  const change = useChange(encounter)

  const there = workersOf(encounter).map(({ key }) => key)
  const found = colleagues(people.data, roles.data)
    .filter(({ reference }) => !there.includes(reference))
    .sort((one, other) => Number(online.has(other.reference)) - Number(online.has(one.reference)))
  const assign = () => {
    if (chosen === undefined || change.isPending) return
    const parameter = [{ name: "practitioner", valueReference: { reference: chosen.reference, display: chosen.name } }]
    change.mutate((server) => server.operation(`Encounter/${encounter.id ?? ""}/$assign`, parameter), { onSuccess: close })
  }

  return (
    <Stack gap="xs">
      <SearchSelect
        label="Colleague" placeholder="Name or specialty" description="They may see the patient's record from then on." autoFocus
        text={text} onText={setText}
        busy={people.isFetching || roles.isFetching || typed !== text}
        found={found.map((one) => ({
          value: one.reference,
          label: one.name,
          detail: [one.about, online.has(one.reference) ? "online" : ""].filter(Boolean).join(" · "),
        }))}
        onPick={({ value }) => setChosen(found.find(({ reference }) => reference === value))}
      />
      {change.error ? <Failure error={change.error} /> : null}
      <Group gap="xs">
        <Button size="xs" disabled={chosen === undefined} loading={change.isPending} onClick={assign}>
          {chosen === undefined ? "Assign" : `Assign ${chosen.name}`}
        </Button>
        <Button size="xs" variant="default" onClick={close}>Back</Button>
      </Group>
    </Stack>
  )
}
