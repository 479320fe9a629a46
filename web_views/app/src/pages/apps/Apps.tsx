import { Button, Group, Paper, SimpleGrid, Text } from "@mantine/core"
import { IconExternalLink } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import type { Parameters } from "fhir/r4"
import { useState } from "react"
import { Link, useSearchParams } from "react-router"
import { words } from "../../fhir/outcome"
import { Page } from "../../parts/Page"
import { PatientBanner } from "../../parts/PatientBanner"
import { Empty, Show } from "../../parts/States"
import { useMe } from "../../session/session"
import { appsOf, launch, type AppEntry } from "./launch"

/** The SMART apps that are registered here; opened from a chart they have its patient in context. */
export default function Apps() {
  const { server } = useMe()
  const [query] = useSearchParams()
  const patient = query.get("patient") ?? undefined
  const found = useQuery({ queryKey: ["apps"], queryFn: ({ signal }) => server.read<Parameters>("$apps", signal) })
  return (
    <Page title="Apps" lead={patient === undefined ? "Opened from a patient's chart, an app has the patient in context." : "They open with this patient in context."}>
      {patient !== undefined && <PatientBanner patient={`Patient/${patient}`} />}
      <Show of={found}>
        {(parameters) => {
          const apps = appsOf(parameters)
          if (apps.length === 0)
            return <Empty title="No app is registered">An administrator registers apps with their launch address: fhir-server client add.</Empty>
          return (
            <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-label="Apps">
              {apps.map((app) => <AppCard key={app.client} of={app} patient={patient} />)}
            </SimpleGrid>
          )
        }}
      </Show>
      {patient === undefined && <Text size="sm" mt="md">To open one about a patient, begin in <Link to="/patients">the chart</Link>.</Text>}
    </Page>
  )
}

function AppCard({ of, patient }: { of: AppEntry; patient?: string }) {
  const { server } = useMe()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string>()

  async function open() {
    // At once, or the browser would take it for a page that nobody asked for; without a way back to this one.
    const tab = window.open("about:blank", "_blank")
    if (tab !== null) tab.opener = null
    setBusy(true)
    setProblem(undefined)
    try {
      const url = await launch(server, of.client, patient)
      if (tab === null) location.assign(url)
      else tab.location.replace(url)
    } catch (error) {
      tab?.close()
      setProblem(words(error))
    } finally {
      setBusy(false)
    }
  }

  return (
    <Paper component="li" p="md">
      <Group justify="space-between" wrap="nowrap">
        <Text fw={600} className="wrap">{of.name}</Text>
        <Button
          size="xs" variant="default" loading={busy} rightSection={<IconExternalLink size={16} aria-hidden />}
          aria-label={`Open ${of.name}`} onClick={() => void open()}
        >
          Open
        </Button>
      </Group>
      {problem !== undefined && <Text c="red" size="sm" role="alert" mt="xs">{problem}</Text>}
    </Paper>
  )
}
