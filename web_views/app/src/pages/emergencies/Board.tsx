import { Stack, Switch, VisuallyHidden } from "@mantine/core"
import { useState } from "react"
import { Page } from "../../parts/Page"
import { Empty, Failure, Loading, More } from "../../parts/States"
import { useActive, useEmergencies } from "./active"
import { inOrder, isActive, type Emergency } from "./emergency"
import { EmergencyRow } from "./EmergencyRow"
import { ring, SOUND } from "./sound"
import { useShelf } from "./shelf"

/** The emergencies that last, of all. What ends while one looks stays, so that nothing moves away under one's hand. */
export default function Board() {
  const active = useActive()
  const rows = useKept(active)
  const lasting = rows.filter(isActive).length
  return (
    <Page title="Emergencies" lead={active.data === undefined ? " " : `${active.total ?? lasting} active`} actions={<Sound />}>
      <VisuallyHidden role="status">{active.data === undefined ? "" : `${lasting} active emergencies`}</VisuallyHidden>
      {active.error ? <Failure error={active.error} retry={() => void active.refetch()} /> : null}
      {active.isPending && <Loading />}
      {active.data !== undefined && lasting === 0 && (
        <Empty title="There is no emergency">New ones appear here by themselves. Raise one with the red button above.</Empty>
      )}
      <Stack gap="sm" component="ul" m={0} mt={lasting === 0 ? "md" : 0} p={0} style={{ listStyle: "none" }} aria-label="Emergencies">
        {rows.map((one) => <EmergencyRow key={one.flag.id} of={one} />)}
      </Stack>
      <More of={active} />
    </Page>
  )
}

function useKept(active: { emergencies: Emergency[]; dataUpdatedAt: number }): Emergency[] {
  const [at, setAt] = useState(0)
  const [last, setLast] = useState<ReadonlyMap<string, Emergency>>(new Map())
  if (at !== active.dataUpdatedAt) {
    setAt(active.dataUpdatedAt)
    setLast(new Map([...last, ...byId(active.emergencies)]))
  }
  const now = byId(active.emergencies)
  const over = useEmergencies([...last.keys()].filter((id) => !now.has(id)))
  return inOrder([...new Map([...last, ...byId(over.emergencies ?? []), ...now]).values()])
}

const byId = (all: Emergency[]) => new Map(all.map((one) => [one.flag.id ?? "", one]))

function Sound() {
  const [on, shelf] = useShelf<boolean>(SOUND)
  return (
    <Switch
      label="Sound with an alert" checked={on === true}
      onChange={({ currentTarget: { checked } }) => {
        shelf.set(checked)
        if (checked) ring()
      }}
    />
  )
}
