import { Stack, Text, Title } from "@mantine/core"
import type { Encounter } from "fhir/r4"
import { keyOf } from "../../fhir/bundle"
import { usePages, useRefresh } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { Empty, Failure, Loading, More } from "../../parts/States"
import { CATEGORY, pairsOf, type Pair } from "./referral"
import { ReferralRow } from "./ReferralRow"

/** Referrals out of this case, and the patient's others, in and out; live. */
export default function OfCase({ encounter }: { encounter: Encounter }) {
  const patient = keyOf(encounter.subject)
  const refresh = useRefresh()
  const found = usePages("ServiceRequest", {
    patient,
    category: `${CATEGORY.system}|${CATEGORY.code}`,
    _revinclude: "Task:focus",
    _sort: "-authored",
    _count: 20,
  }, patient !== undefined)
  useTopic("referral", () => void refresh("ServiceRequest"))
  if (found.error) return <Failure error={found.error} retry={() => void found.refetch()} />
  if (found.isPending) return <Loading rows={2} />
  const all = found.bundles.flatMap(pairsOf)
  const here = all.filter(({ request }) => keyOf(request?.encounter) === `Encounter/${encounter.id ?? ""}`)
  const others = all.filter((pair) => !here.includes(pair))
  if (all.length === 0) return <Empty title="No referrals">Refer the patient with “Refer” above; the answer shows here by itself.</Empty>
  return (
    <Stack gap="md">
      <Rows title="Of this case" pairs={here} />
      <Rows title="Others of this patient" pairs={others} />
      <More of={found} />
    </Stack>
  )
}

function Rows({ title, pairs }: { title: string; pairs: Pair[] }) {
  if (pairs.length === 0) return null
  return (
    <section aria-label={title}>
      <Title order={3} size="h6" mb={6}>{title} <Text span c="dimmed" size="sm">{pairs.length}</Text></Title>
      <Stack gap={6} component="ul" m={0} p={0} style={{ listStyle: "none" }}>
        {pairs.map((pair) => <ReferralRow key={pair.request?.id} {...pair} />)}
      </Stack>
    </section>
  )
}
