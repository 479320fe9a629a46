import { Text, Timeline } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import type { Flag, Task } from "fhir/r4"
import { ofType, referenceTo } from "../../fhir/bundle"
import { PersonName } from "../../parts/Person"
import { Show } from "../../parts/States"
import { useMe } from "../../session/session"
import { momentText } from "../../words/dates"
import type { Emergency } from "./emergency"
import { happenings } from "./history"

/** What happened, and when; the newest last. */
export function History({ of: { flag, task, responders } }: { of: Emergency }) {
  const { server } = useMe()
  const tasks = [...(task === undefined ? [] : [task]), ...responders]
  const versions = [flag, ...tasks].map((one) => one.meta?.versionId ?? "")
  const found = useQuery({
    queryKey: ["search", "Flag", flag.id, "history", versions],
    queryFn: async ({ signal }) => {
      const [flags, ...others] = await Promise.all([
        server.search<Flag>(`${referenceTo(flag)}/_history`, { _count: 50 }, signal),
        ...tasks.map((one) => server.search<Task>(`${referenceTo(one)}/_history`, { _count: 50 }, signal)),
      ])
      return happenings(ofType(flags, "Flag"), others.flatMap((bundle) => ofType(bundle, "Task")))
    },
    placeholderData: (before) => before,
  })
  return (
    <Show of={found} rows={2}>
      {(all) => (
        <Timeline bulletSize={14} lineWidth={2} aria-label="What happened">
          {all.map(({ at, what, who }) => (
            <Timeline.Item key={`${at} ${what} ${who?.reference ?? ""}`}>
              <Text size="sm">{who !== undefined && <><PersonName reference={who} /> </>}{what}</Text>
              <Text size="xs" c="dimmed" className="numbers">{momentText(at)}</Text>
            </Timeline.Item>
          ))}
        </Timeline>
      )}
    </Show>
  )
}
