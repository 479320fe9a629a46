import { Chip, Group, Paper, Stack } from "@mantine/core"
import type { Communication } from "fhir/r4"
import { useSearchParams } from "react-router"
import { usePages } from "../../fhir/hooks"
import { Page } from "../../parts/Page"
import { Empty, Failure, Loading, More } from "../../parts/States"
import { caseText, noticesOf, THERE } from "./notice"
import { NoticeRow } from "./NoticeRow"
import { ReadAll } from "./ReadAll"
import { useCasesOf, useRecipient, useUnread } from "./useNotices"

/** All notifications, newest first, a page at a time; live through the bell. */
export default function Notifications() {
  const [query, setQuery] = useSearchParams()
  const onlyUnread = query.get("show") === "unread"
  const unread = useUnread()
  const found = usePages<Communication>("Communication", {
    ...noticesOf(useRecipient(), onlyUnread ? ["in-progress"] : THERE), _sort: "-sent", _count: 25,
  })
  const notices = [...new Map(found.resources.map((one) => [one.id, one])).values()] // what is new moves the pages
  const cases = useCasesOf(notices)
  return (
    <Page title="Notifications" lead={unread === undefined ? " " : `${unread} unread`} actions={<ReadAll newest={notices[0]} />}>
      <Chip.Group value={onlyUnread ? "unread" : "all"} onChange={(value) => setQuery(value === "unread" ? { show: "unread" } : {}, { replace: true })}>
        <Group gap={6} mb="md" role="radiogroup" aria-label="Which notifications">
          <Chip value="all">All</Chip>
          <Chip value="unread">Unread</Chip>
        </Group>
      </Chip.Group>
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending ? <Loading /> : null}
      {found.data !== undefined && notices.length === 0 && (
        <Empty title={onlyUnread ? "Everything is read" : "Nothing yet"}>Referrals, cases and shared records are told of here.</Empty>
      )}
      {notices.length > 0 && (
        <Paper px="sm">
          <Stack component="ul" gap={0} m={0} p={0} style={{ listStyle: "none" }} aria-label="Notifications">
            {notices.map((notice) => <NoticeRow key={notice.id} notice={notice} about={caseText(notice, cases)} />)}
          </Stack>
        </Paper>
      )}
      <More of={found} />
    </Page>
  )
}
