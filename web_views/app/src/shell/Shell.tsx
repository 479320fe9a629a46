import { Alert, AppShell, Burger, Group, NavLink, Text, VisuallyHidden } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { IconWifiOff } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { Link, useLocation } from "react-router"
import { useLive } from "../live/live"
import { MENU } from "../pages"
import { Account } from "./Account"
import { Mark } from "./Mark"
import { TOP } from "./slots"

/** The frame of every page: top line, menu, the sign that there is no connection. */
export function Shell({ children }: { children: ReactNode }) {
  const [opened, { toggle, close }] = useDisclosure()
  const { pathname } = useLocation()
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 208, breakpoint: "sm", collapsed: { mobile: !opened } }}>
      <a className="skip" href="#content">To the content</a>
      <AppShell.Header px="sm">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" aria-expanded={opened} />
            <Mark />
            <Text fw={660} visibleFrom="xs">Clinic</Text>
          </Group>
          <Group gap={4} wrap="nowrap">
            {TOP.map((Part, place) => <Part key={place} />)}
            <Account />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Main">
        {MENU.map(({ path, menu }) => menu && (
          <NavLink
            key={path}
            component={Link}
            to={`/${path}`}
            label={menu.label}
            leftSection={<menu.icon size={20} stroke={1.6} aria-hidden />}
            active={pathname.startsWith(`/${path}`)}
            aria-current={pathname.startsWith(`/${path}`) ? "page" : undefined}
            onClick={close}
            style={{ borderRadius: 8 }}
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Connection />
        {children}
      </AppShell.Main>
    </AppShell>
  )
}

/** Says that what is on screen may be old, as long as it may. */
function Connection() {
  const { connected } = useLive()
  return (
    <div role="status">
      {connected
        ? <VisuallyHidden>Connected</VisuallyHidden>
        : (
          <Alert color="orange" icon={<IconWifiOff />} radius={0} py="xs" title="No connection">
            What you see may be out of date. What you write is kept, and sent once there is a connection again.
          </Alert>
        )}
    </div>
  )
}
