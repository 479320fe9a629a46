import { Group, Tabs } from "@mantine/core"
import type { Patient } from "fhir/r4"
import { lazy, Suspense } from "react"
import { useLocation, useNavigate, useParams } from "react-router"
import { useRead } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { Page } from "../../parts/Page"
import { PatientBanner } from "../../parts/PatientBanner"
import { Show, Waiting } from "../../parts/States"
import { nameOf } from "../../words/names"
import { Overview } from "./Overview"
import type { ChartAction, ChartSection } from "./section"

const OWN: ChartSection[] = [
  { title: "Overview", order: 0, Component: Overview },
  { title: "Trends", order: 10, Component: lazy(() => import("./Trends")) },
  { title: "Documents", order: 20, Component: lazy(() => import("./Documents")) },
  { title: "Timeline", order: 30, Component: lazy(() => import("./Timeline")) },
]
const others = import.meta.glob<{ default: ChartSection }>("../*/of-chart.tsx", { eager: true })
const SECTIONS = [...OWN, ...Object.values(others).map((module) => module.default)].sort((one, other) => one.order - other.order)
const ACTIONS = Object.values(import.meta.glob<ChartAction>("../*/chart-action.tsx", { eager: true })).sort(
  (one, other) => one.order - other.order,
)
const nameOfTab = (title: string) => title.toLowerCase().replaceAll(" ", "-")

/** What is known of a patient; the address names the tab: /patients/1#trends */
export default function Chart() {
  const { id = "" } = useParams()
  const patient = useRead<Patient>(`Patient/${id}`)
  const navigate = useNavigate()
  const { hash } = useLocation()
  useTopic("record")
  const tab = SECTIONS.find(({ title }) => `#${nameOfTab(title)}` === hash)?.title ?? "Overview"
  return (
    <Show of={patient}>
      {(data) => (
        <Page
          title={nameOf(data)}
          actions={<Group gap="xs">{ACTIONS.map(({ default: Action }, place) => <Action key={place} patient={data} />)}</Group>}
        >
          <PatientBanner patient={`Patient/${id}`} />
          <Tabs
            value={tab} keepMounted={false}
            onChange={(title) => void navigate({ hash: nameOfTab(title ?? "Overview") }, { replace: true })}
          >
            <Tabs.List mb="md" aria-label="Chart">
              {SECTIONS.map(({ title }) => <Tabs.Tab key={title} value={title}>{title}</Tabs.Tab>)}
            </Tabs.List>
            {SECTIONS.map(({ title, Component }) => (
              <Tabs.Panel key={title} value={title}>
                <Suspense fallback={<Waiting />}><Component patient={data} /></Suspense>
              </Tabs.Panel>
            ))}
          </Tabs>
        </Page>
      )}
    </Show>
  )
}
