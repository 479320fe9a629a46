import { Chip, Group, MultiSelect, Stack } from "@mantine/core"
import type { Bundle, Task } from "fhir/r4"
import { useSearchParams } from "react-router"
import { resolved } from "../../fhir/bundle"
import { usePages } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { Page } from "../../parts/Page"
import { Empty, Failure, Loading, More } from "../../parts/States"
import { useNames, type Names } from "../../session/names"
import { URGENCIES } from "./asking"
import { ReferralRow } from "./ReferralRow"
import { FULFILL, OPEN, STATES } from "./referral"

const WAYS = [
  { value: "in", label: "Incoming" },
  { value: "me", label: "To me" },
  { value: "house", label: "To my house" },
  { value: "out", label: "Outgoing" },
]
const EMPTY: Record<string, string> = {
  in: "What others refer to you, your roles or your house appears here by itself.",
  me: "What others refer to you or to one of your roles appears here by itself.",
  house: "What others refer to your department or service appears here by itself; whoever accepts first takes it.",
  out: "Refer from a case or from a patient’s chart; how far it is, is shown here.",
}

function whoseOf(way: string, me: Names) {
  if (way === "out") return { requester: [...me.self, ...me.houses] }
  return { owner: way === "me" ? me.self : way === "house" ? me.houses : [...me.self, ...me.houses] }
}

/** Referrals to the user, their roles and houses, and those that they made; by state and urgency; live. */
export default function Referrals() {
  const me = useNames()
  const [query, setQuery] = useSearchParams()
  const way = WAYS.find(({ value }) => value === query.get("way"))?.value ?? "in"
  const status = query.getAll("status")
  const priority = query.getAll("priority")
  const nobody = way === "house" && me.known && me.houses.length === 0
  const found = usePages<Task>("Task", {
    ...whoseOf(way, me),
    code: FULFILL,
    status: status.length > 0 ? status : OPEN,
    priority,
    _sort: "-authored-on",
    _count: 25,
    _include: ["Task:focus", "Task:patient"],
    _total: "accurate",
  }, me.known && !nobody)
  useTopic("referral")

  function choose(name: string, values: string[]) {
    setQuery((now) => {
      now.delete(name)
      for (const value of values) now.append(name, value)
      return now
    }, { replace: true })
  }

  return (
    <Page title="Referrals" lead={found.total === undefined ? " " : `${found.total} ${found.total === 1 ? "referral" : "referrals"}`}>
      <Group mb="md" align="end" gap="sm">
        <Chip.Group value={way} onChange={(value) => choose("way", [value])}>
          <Group gap={6} role="radiogroup" aria-label="Which referrals">
            {WAYS.map(({ value, label }) => <Chip key={value} value={value}>{label}</Chip>)}
          </Group>
        </Chip.Group>
        <MultiSelect
          aria-label="State" placeholder={status.length === 0 ? "Every open state" : undefined} data={STATES}
          value={status} onChange={(values) => choose("status", values)} w={{ base: "100%", xs: 220 }} clearable
        />
        <MultiSelect
          aria-label="Urgency" placeholder={priority.length === 0 ? "Every urgency" : undefined} data={URGENCIES}
          value={priority} onChange={(values) => choose("priority", values)} w={{ base: "100%", xs: 200 }} clearable
        />
      </Group>
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending && !nobody ? <Loading /> : null}
      {(nobody || (found.data !== undefined && found.resources.length === 0)) && (
        <Empty title={status.length + priority.length > 0 ? "No referral of this state and urgency" : "No open referral"}>
          {EMPTY[way]}
        </Empty>
      )}
      {!nobody && (
        <Stack gap="xs" component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-label="Referrals">
          {rowsOf(found.bundles).map(({ task, among }) => (
            <ReferralRow
              key={task.id} task={task} request={resolved(among, "ServiceRequest", task.focus)}
              patient={resolved(among, "Patient", task.for) ?? null}
            />
          ))}
        </Stack>
      )}
      <More of={found} />
    </Page>
  )
}

/** The tasks of all pages, each once: what is new moves the pages. */
function rowsOf(bundles: Bundle<Task>[]): { task: Task; among: Bundle }[] {
  const rows = bundles.flatMap((among) => (among.entry ?? []).flatMap(({ resource, search }) =>
    resource?.resourceType === "Task" && search?.mode !== "include" ? [{ task: resource, among }] : []))
  return [...new Map(rows.map((row) => [row.task.id, row])).values()]
}
