import { Anchor, Badge, Button, Center, Group, Paper, Stack, Text } from "@mantine/core"
import { useQueries } from "@tanstack/react-query"
import { useState } from "react"
import { Link } from "react-router"
import { Empty, Failure, Loading } from "../../parts/States"
import { useMe } from "../../session/session"
import { dateText } from "../../words/dates"
import type { OfChart } from "./section"
import { KINDS, timeline } from "./timeline"

const PAGE = 50

/** What happened, newest first; older things on demand. */
export default function Timeline({ patient }: OfChart) {
  const { server } = useMe()
  const [most, setMost] = useState(PAGE)
  const found = useQueries({
    queries: KINDS.map(({ type, sort }) => {
      const query = { patient: `Patient/${patient.id ?? ""}`, _sort: sort, _count: most }
      return {
        queryKey: ["search", type, query],
        queryFn: ({ signal }: { signal: AbortSignal }) => server.search(type, query, signal),
      }
    }),
  })
  const failed = found.find(({ error }) => error !== null)
  if (failed) return <Failure error={failed.error} retry={() => void failed.refetch()} />
  if (found.some(({ isPending }) => isPending)) return <Loading />
  const all = timeline(found.map(({ data }) => data))
  if (all.length === 0) return <Empty title="Nothing has happened yet" />
  // Beyond the shortest full page something may be missing between, so it ends there.
  const more = found.some(({ data }) => (data?.entry?.length ?? 0) >= most)
  return (
    <Stack gap={6} component="ol" m={0} p={0} style={{ listStyle: "none" }} aria-label="Timeline">
      {all.slice(0, most).map((one) => (
        <Paper component="li" key={one.key} p="xs">
          <Group gap="sm" wrap="nowrap" align="baseline">
            <Text size="sm" c="dimmed" className="numbers" w={110} style={{ flexShrink: 0 }}>{dateText(one.when)}</Text>
            <Badge color="gray" style={{ flexShrink: 0 }}>{one.kind}</Badge>
            <Text size="sm" className="wrap">{one.link === undefined ? one.what : <Anchor component={Link} to={one.link}>{one.what}</Anchor>}</Text>
          </Group>
        </Paper>
      ))}
      {(more || all.length > most) && (
        <Center component="li"><Button variant="default" onClick={() => setMost(most + PAGE)}>Show older</Button></Center>
      )}
    </Stack>
  )
}
