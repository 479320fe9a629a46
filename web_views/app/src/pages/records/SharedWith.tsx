import { Group, Stack, Text, Title } from "@mantine/core"
import type { Bundle, FhirResource } from "fhir/r4"
import { keyOf } from "../../fhir/bundle"
import { useRefresh } from "../../fhir/hooks"
import { Confirm } from "../../parts/Confirm"
import { PartyName } from "../../parts/Party"
import { Show } from "../../parts/States"
import { useMe } from "../../session/session"
import { momentText } from "../../words/dates"
import { levelText, sharesOf, type Share } from "./shares"

/** With whom a record is shared, and how each share is ended. */
export function SharedWith({ record, found }: {
  record: string
  found: { data?: Bundle<FhirResource>; error: unknown; isPending: boolean; refetch: () => unknown }
}) {
  return (
    <section aria-labelledby="shared-with">
      <Title order={3} size="h6" mb="xs" id="shared-with">Shared with</Title>
      <Show of={found} rows={1}>
        {(bundle) => {
          const shares = sharesOf(bundle, record)
          if (shares.length === 0) return <Text size="sm" c="dimmed">With nobody, as far as you may see. Who works with the patient may see it by their role.</Text>
          return (
            <Stack gap="xs" component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-labelledby="shared-with">
              {shares.map((share) => <Row key={share.id} record={record} share={share} />)}
            </Stack>
          )
        }}
      </Show>
    </section>
  )
}

function Row({ record, share }: { record: string; share: Share }) {
  const { server } = useMe()
  const refresh = useRefresh()
  const end = async () => {
    await server.operation(`${record}/$revoke`, [{ name: "actor", valueReference: { reference: keyOf(share.actor) } }])
    await refresh("Consent")
  }
  return (
    <Group component="li" justify="space-between" wrap="nowrap">
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={500}><PartyName reference={share.actor} /></Text>
        <Text size="xs" c="dimmed">
          {levelText(share.level)}, {share.until === undefined ? "without an end" : `until ${momentText(share.until)}`}
          {share.by !== undefined && <> · by <PartyName reference={share.by} /></>}
        </Text>
      </div>
      <Confirm label="End" size="xs" variant="default" title="End this share" confirm="End the share" danger act={end}>
        <Text size="sm">
          <PartyName reference={share.actor} /> loses this record at once, and so do those to whom they gave it. They are told.
        </Text>
      </Confirm>
    </Group>
  )
}
