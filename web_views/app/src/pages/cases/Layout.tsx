import { Box, Grid, Stack, Tabs } from "@mantine/core"
import { useMediaQuery } from "@mantine/hooks"
import type { Bundle, Encounter } from "fhir/r4"
import { Suspense, type ReactNode } from "react"
import { useSearchParams } from "react-router"
import { Waiting } from "../../parts/States"
import { Consultations } from "./Consultations"
import { Diagnoses } from "./Diagnoses"
import { Documents } from "./Documents"
import { Plans } from "./Plans"
import { FACTS, TALK } from "./sections"
import { Symptoms } from "./Symptoms"
import { Team } from "./Team"

type Tab = { value: string; title: string; content: ReactNode }

/** Wide: facts on the left, talk on the right. Narrow: everything in tabs. Which one is open is in the address. */
export function Layout({ encounter, among }: { encounter: Encounter; among: Bundle }) {
  const wide = useMediaQuery("(min-width: 70em)", false, { getInitialValueInEffect: false })
  const facts = (
    <>
      <Team encounter={encounter} among={among} />
      <Symptoms encounter={encounter} among={among} />
      <Diagnoses encounter={encounter} among={among} />
      <Plans encounter={encounter} />
    </>
  )
  const papers = (
    <>
      <Documents encounter={encounter} />
      <Consultations encounter={encounter} />
    </>
  )
  const more = FACTS.map(({ title, Component }) => <Component key={title} encounter={encounter} />)
  const talk = TALK.map(({ title, Component }): Tab => ({
    value: title.toLowerCase(),
    title,
    content: <Component encounter={encounter} />,
  }))
  if (!wide)
    return (
      <CaseTabs
        tabs={[
          { value: "case", title: "Case", content: <Stack>{facts}{more}</Stack> },
          { value: "documents", title: "Documents", content: <Stack>{papers}</Stack> },
          ...talk,
        ]}
      />
    )
  return (
    <Grid gap="lg">
      <Grid.Col span={talk.length > 0 ? 7 : 12}><Stack>{facts}{papers}{more}</Stack></Grid.Col>
      {talk.length > 0 && (
        <Grid.Col span={5}><Box pos="sticky" top={72}><CaseTabs tabs={talk} /></Box></Grid.Col>
      )}
    </Grid>
  )
}

function CaseTabs({ tabs }: { tabs: Tab[] }) {
  const [query, setQuery] = useSearchParams()
  const wanted = query.get("tab")
  const open = tabs.find(({ value }) => value === wanted)?.value ?? tabs[0]?.value
  const choose = (value: string | null) =>
    setQuery((now) => {
      now.set("tab", value ?? "")
      return now
    }, { replace: true })
  return (
    <Tabs value={open} onChange={choose} keepMounted={false}>
      <Tabs.List mb="sm" aria-label="Parts of the case">
        {tabs.map(({ value, title }) => <Tabs.Tab key={value} value={value}>{title}</Tabs.Tab>)}
      </Tabs.List>
      {tabs.map(({ value, content }) => (
        <Tabs.Panel key={value} value={value}><Suspense fallback={<Waiting />}>{content}</Suspense></Tabs.Panel>
      ))}
    </Tabs>
  )
}
