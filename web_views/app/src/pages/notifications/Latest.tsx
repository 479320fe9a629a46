import { Anchor, Group, ScrollArea, Stack, Text } from "@mantine/core"
import type { Communication } from "fhir/r4"
import { Link } from "react-router"
import { matches } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { Show } from "../../parts/States"
import { caseText, noticesOf, THERE } from "./notice"
import { NoticeRow } from "./NoticeRow"
import { ReadAll } from "./ReadAll"
import { useCasesOf, useRecipient } from "./useNotices"

const LATEST = 10

/** The latest notifications, below the bell. */
export default function Latest({ close }: { close: () => void }) {
  const found = useSearch<Communication>("Communication", { ...noticesOf(useRecipient(), THERE), _sort: "-sent", _count: LATEST })
  const notices = matches(found.data)
  const cases = useCasesOf(notices)
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Text fw={600}>Notifications</Text>
        <ReadAll newest={notices[0]} />
      </Group>
      <Show of={found} rows={3}>
        {() => notices.length === 0
          ? <Text size="sm" c="dimmed" py="md" ta="center">Nothing yet. Referrals, cases and shared records are told of here.</Text>
          : (
            <ScrollArea.Autosize mah="60vh" type="auto">
              <Stack component="ul" gap={0} m={0} p={0} style={{ listStyle: "none" }} aria-label="Latest">
                {notices.map((notice) => <NoticeRow key={notice.id} notice={notice} about={caseText(notice, cases)} onOpen={close} />)}
              </Stack>
            </ScrollArea.Autosize>
          )}
      </Show>
      <Anchor component={Link} to="/notifications" size="sm" onClick={close} ta="center" py={4}>All notifications</Anchor>
    </Stack>
  )
}
