import { ActionIcon, Indicator, Popover, VisuallyHidden } from "@mantine/core"
import { IconBell } from "@tabler/icons-react"
import { lazy, Suspense, useState } from "react"
import { useRefresh } from "../../fhir/hooks"
import { useEvents, useTopic } from "../../live/live"
import { Loading } from "../../parts/States"
import { useUnread } from "./useNotices"

export const order = 20

const Latest = lazy(() => import("./Latest"))

/** How many notifications are unread, live and in every tab, and the latest of them. */
export default function Bell() {
  const [opened, setOpened] = useState(false)
  const refresh = useRefresh()
  const unread = useUnread() ?? 0
  useEvents("notification", () => void refresh("Communication"))
  useTopic("notification") // read or removed elsewhere
  const label = unread === 0 ? "Notifications" : `Notifications, ${unread} unread`
  return (
    <>
      <Popover opened={opened} onChange={setOpened} position="bottom-end" width="min(420px, calc(100vw - 16px))" trapFocus returnFocus shadow="md">
        <Indicator label={unread > 99 ? "99+" : unread} size={18} disabled={unread === 0} color="red.9" offset={7}>
          <Popover.Target>
            <ActionIcon aria-label={label} aria-haspopup="dialog" aria-expanded={opened} color="gray" onClick={() => setOpened(!opened)}>
              <IconBell size={22} stroke={1.6} aria-hidden />
            </ActionIcon>
          </Popover.Target>
        </Indicator>
        <Popover.Dropdown aria-label="Latest notifications" p="sm">
          <Suspense fallback={<Loading rows={3} />}><Latest close={() => setOpened(false)} /></Suspense>
        </Popover.Dropdown>
      </Popover>
      <VisuallyHidden role="status">{unread === 0 ? "" : `${unread} unread ${unread === 1 ? "notification" : "notifications"}`}</VisuallyHidden>
    </>
  )
}
