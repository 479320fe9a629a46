import { Paper, Text, Title } from "@mantine/core"
import type { FhirResource } from "fhir/r4"
import type { ReactNode } from "react"
import { matches } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import type { Query } from "../../fhir/server"
import { Show } from "../../parts/States"

/** A part of the overview: what a search finds, one line each. */
export function Card<R extends FhirResource>({ title, path, query, none, wanted = () => true, children, foot }: {
  title: string
  path: string
  query: Query
  none: string
  wanted?: (one: R) => boolean
  children: (one: R) => ReactNode
  foot?: ReactNode
}) {
  const found = useSearch<R>(path, query)
  return (
    <Paper component="section" p="md" aria-label={title}>
      <Title order={2} size="h5" mb={6}>{title}</Title>
      <Show of={found} rows={1}>
        {(bundle) => {
          const all = matches(bundle).filter(wanted)
          if (all.length === 0) return <Text size="sm" c="dimmed">{none}</Text>
          return <ul style={{ margin: 0, padding: 0, listStyle: "none" }}>{all.map((one) => <li key={one.id}>{children(one)}</li>)}</ul>
        }}
      </Show>
      {foot}
    </Paper>
  )
}
