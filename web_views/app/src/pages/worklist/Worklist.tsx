import { Button } from "@mantine/core"
import { IconPlus } from "@tabler/icons-react"
import { useCallback, useMemo, useState } from "react"
import { Link, useSearchParams } from "react-router"
import { Page } from "../../parts/Page"
import { Empty } from "../../parts/States"
import { useMe } from "../../session/session"
import { PRIORITIES } from "../cases/case"
import { CaseList } from "./CaseList"
import { addressOf, filterOf, keep, kept, URGENCIES, type Filter } from "./filter"
import { Filters } from "./Filters"

/** Cases by urgency, the oldest first, or by their last change; live. How one looked at them last is kept. */
export default function Worklist() {
  const { user } = useMe()
  const [query, setQuery] = useSearchParams()
  const [before] = useState(() => kept(user))
  const filter = filterOf(query.size === 0 ? before : query)
  const [totals, setTotals] = useState<Record<string, number>>({})

  function choose(part: Partial<Filter>) {
    const next = { ...filter, ...part }
    keep(user, next)
    const address = addressOf(next)
    if (address.size === 0) address.set("whose", "mine") // said, so that what was kept before is over
    setQuery(address, { replace: true })
  }

  const lists = filter.order === "changed" ? [""] : URGENCIES.filter((one) => filter.priority.length === 0 || filter.priority.includes(one))
  const known = lists.every((one) => totals[one] !== undefined)
  const total = lists.reduce((sum, one) => sum + (totals[one] ?? 0), 0)
  return (
    <Page
      title="Worklist"
      lead={known ? `${total} ${total === 1 ? "case" : "cases"}` : " "}
      actions={<Button component={Link} to="/cases/new" leftSection={<IconPlus size={18} aria-hidden />}>New case</Button>}
    >
      <Filters filter={filter} choose={choose} />
      {lists.map((one) => <Group key={one} urgency={one} filter={filter} setTotals={setTotals} />)}
      {known && total === 0 && (
        <Empty title={filter.mine ? "No case waits for you" : "There is no such case"}>
          {filter.mine ? "Look at all cases, or open a new one." : "Other words, states or priorities may find some."}
        </Empty>
      )}
    </Page>
  )
}

type Totals = (change: (now: Record<string, number>) => Record<string, number>) => void

function Group({ urgency, filter, setTotals }: { urgency: string; filter: Filter; setTotals: Totals }) {
  const told = useCallback((total: number) => setTotals((now) => ({ ...now, [urgency]: total })), [urgency, setTotals])
  const those = useMemo(() => (urgency === "" ? filter : { ...filter, priority: [urgency] }), [urgency, filter])
  return <CaseList filter={those} title={PRIORITIES.find(({ value }) => value === urgency)?.label} told={told} />
}
