import { Select, Stack, Table, Text } from "@mantine/core"
import type { Observation } from "fhir/r4"
import { lazy, Suspense, useState } from "react"
import { matches } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { usePages, useSearch } from "../../fhir/hooks"
import { Empty, Loading, More, Show, Waiting } from "../../parts/States"
import { momentText } from "../../words/dates"
import { thinned, trendOf, valueText } from "../../words/values"
import type { OfChart } from "./section"

const TrendChart = lazy(() => import("./TrendChart"))

/** One kind of measurement over time: a chart, and the numbers below it for who cannot see it or wants to read. */
export default function Trends({ patient }: OfChart) {
  const of = `Patient/${patient.id ?? ""}`
  const kinds = useSearch<Observation>("Observation/$lastn", { patient: of, category: "vital-signs,laboratory", max: 1 })
  const [chosen, setChosen] = useState<string>()
  return (
    <Show of={kinds}>
      {(bundle) => {
        const choices = choicesOf(matches(bundle))
        const code = chosen ?? choices[0]?.value
        if (code === undefined) return <Empty title="Nothing was measured">Vital signs and laboratory results are shown here.</Empty>
        return (
          <Stack>
            <Select
              label="Measurement" data={choices} value={code} onChange={(value) => value !== null && setChosen(value)}
              allowDeselect={false} searchable maw={420}
            />
            <Trend key={code} of={of} code={code} title={choices.find(({ value }) => value === code)?.label ?? ""} />
          </Stack>
        )
      }}
    </Show>
  )
}

function Trend({ of, code, title }: { of: string; code: string; title: string }) {
  const found = usePages<Observation>("Observation", { patient: of, code, _sort: "-date", _count: 250 })
  if (found.data === undefined) return <Loading rows={2} />
  const { points, series } = trendOf(found.resources)
  return (
    <>
      {points.length > 1 && (
        <Suspense fallback={<Waiting />}><TrendChart title={title} points={thinned(points, series)} series={series} /></Suspense>
      )}
      <Table.ScrollContainer minWidth={280} maxHeight={420} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": "Values" } }}>
        <Table stickyHeader>
          <Table.Thead>
            <Table.Tr><Table.Th>When</Table.Th><Table.Th>Value</Table.Th></Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {found.resources.map((one) => (
              <Table.Tr key={one.id}>
                <Table.Td className="numbers">{momentText(one.effectiveDateTime)}</Table.Td>
                <Table.Td className="numbers">{valueText(one)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="sm" c="dimmed">{found.resources.length} values{found.hasNextPage ? "; there are older ones" : ""}</Text>
      <More of={found} />
    </>
  )
}

function choicesOf(observations: Observation[]): { value: string; label: string }[] {
  const known = new Map<string, string>()
  for (const { code } of observations) {
    const coding = code.coding?.[0]
    if (coding?.code !== undefined) known.set(`${coding.system ?? ""}|${coding.code}`, textOf(code) ?? coding.code)
  }
  return [...known].map(([value, label]) => ({ value, label })).sort((one, other) => one.label.localeCompare(other.label))
}
