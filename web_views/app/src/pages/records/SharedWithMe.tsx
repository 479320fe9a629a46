import { Stack } from "@mantine/core"
import type { FhirResource } from "fhir/r4"
import { usePages, useRefresh } from "../../fhir/hooks"
import { useEvents, useTopic } from "../../live/live"
import { Page } from "../../parts/Page"
import { Empty, More, Show } from "../../parts/States"
import { useNames } from "../../session/names"
import { ReceivedRow } from "./ReceivedRow"
import { receivedOf, SHARING } from "./shares"

/** The records that somebody shares with me, with a role of mine or with my house; the latest first. Live. */
export default function SharedWithMe() {
  const { self, houses, known } = useNames()
  const refresh = useRefresh()
  const mine = [...self, ...houses]
  const found = usePages<FhirResource>("Consent", {
    actor: mine,
    status: "active",
    _profile: SHARING,
    _include: ["Consent:data", "Consent:patient"],
    _sort: "-date,_id",
    _count: 20,
  }, known)
  useTopic("record")
  useEvents("notification", () => void refresh("Consent")) // of a share, and of its end, one is told
  return (
    <Page title="Shared with me" lead="Records that others opened to you">
      <Show of={found}>
        {() => {
          const received = found.bundles.flatMap((bundle) => receivedOf(bundle, mine))
          return received.length === 0
            ? <Empty title="Nothing is shared with you">What colleagues share is here as soon as they do, and you are told.</Empty>
            : (
              <Stack gap="xs" component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-label="Shared with me">
                {received.map((one) => <ReceivedRow key={one.share.id + (one.record.id ?? "")} of={one} />)}
              </Stack>
            )
        }}
      </Show>
      <More of={found} />
    </Page>
  )
}
