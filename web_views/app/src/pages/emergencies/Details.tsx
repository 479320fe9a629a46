import { Anchor, Badge, Grid, Paper, Stack, Text, Title } from "@mantine/core"
import type { ReactNode } from "react"
import { Link, useParams } from "react-router"
import { idOf, keyOf } from "../../fhir/bundle"
import { Page } from "../../parts/Page"
import { PatientBanner } from "../../parts/PatientBanner"
import { PersonName } from "../../parts/Person"
import { Empty, Show } from "../../parts/States"
import { Actions } from "./Actions"
import { useEmergencies } from "./active"
import { gravityOf, placeOf, type Emergency } from "./emergency"
import { History } from "./History"
import { gravityText, whatOf } from "./kinds"
import { PlaceSection } from "./PlaceSection"
import { Responders } from "./Responders"
import { Clock, StateOf } from "./StateOf"

/** One emergency: whom, how it stands, who comes, where, and what happened. */
export default function Details() {
  const { id = "" } = useParams()
  const found = useEmergencies([id])
  return (
    <Show of={{ ...found, data: found.emergencies }}>
      {(emergencies) => {
        const one = emergencies.find(({ flag }) => flag.id === id)
        return one === undefined ? <Nothing waiting={found.isFetching} /> : <Whole key={id} of={one} />
      }}
    </Show>
  )
}

function Whole({ of }: { of: Emergency }) {
  const { flag } = of
  const { title, words } = whatOf(flag)
  const patient = keyOf(flag.subject)
  const gravity = gravityOf(flag)
  const place = placeOf(flag)
  return (
    <Page title={title} lead={<>Emergency, raised by <PersonName reference={flag.author} /></>} actions={<Clock of={flag} />}>
      {patient !== undefined && <PatientBanner patient={patient} />}
      <Stack gap="md">
        <Paper component="section" aria-label="State" p="md">
          <Stack gap="sm">
            <div><Badge color={gravity === "PH" ? "red" : "gray"} size="lg">{gravityText(gravity)} priority</Badge></div>
            {words !== undefined && <Text className="wrap" style={{ whiteSpace: "pre-wrap" }}>{words}</Text>}
            <StateOf of={of} />
            <Responders of={of} />
            <Actions of={of} all />
            {flag.encounter !== undefined && (
              <Anchor component={Link} to={`/cases/${idOf(flag.encounter) ?? ""}`} size="sm">To its case</Anchor>
            )}
          </Stack>
        </Paper>
        <Grid>
          {(place.here ?? place.reference) !== undefined && (
            <Grid.Col span={{ base: 12, md: 7 }}><Section title="Where"><PlaceSection flag={flag} /></Section></Grid.Col>
          )}
          <Grid.Col span={{ base: 12, md: 5 }}><Section title="What happened"><History of={of} /></Section></Grid.Col>
        </Grid>
      </Stack>
    </Page>
  )
}

const Section = ({ title, children }: { title: string; children: ReactNode }) => (
  <Paper component="section" p="md" aria-label={title}>
    <Title order={2} size="h4" mb="sm">{title}</Title>
    {children}
  </Paper>
)

const Nothing = ({ waiting }: { waiting: boolean }) => (
  <Page title="Emergency">
    {!waiting && (
      <Empty title="There is no such emergency" action={<Anchor component={Link} to="/emergencies">All emergencies</Anchor>}>
        It was deleted, or you may not see it.
      </Empty>
    )}
  </Page>
)
