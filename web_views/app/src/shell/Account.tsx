import { Menu, Text, UnstyledButton, useComputedColorScheme, useMantineColorScheme } from "@mantine/core"
import { IconDeviceMobile, IconLogout, IconMoon, IconSun } from "@tabler/icons-react"
import { useState } from "react"
import { clearDrafts, hasDrafts } from "../drafts/draft"
import { unfollow } from "../live/follow"
import { Ask } from "../parts/Ask"
import { PersonSign } from "../parts/Person"
import { useMe } from "../session/session"
import { signOut } from "../session/sign-in"
import { initialsOf, nameOf } from "../words/names"

const PATIENCE = 2000 // ms: without a connection one signs out all the same

/** Who one is here: light or dark, one's apps, the way out. */
export function Account() {
  const me = useMe()
  const { person } = me
  const { setColorScheme } = useMantineColorScheme()
  const dark = useComputedColorScheme("light") === "dark"
  const [asking, setAsking] = useState(false)
  const leave = async () => {
    clearDrafts()
    await Promise.race([unfollow(me), new Promise((resolve) => setTimeout(resolve, PATIENCE))])
    signOut()
  }
  return (
    <>
      <Ask title="Sign out?" confirm="Sign out" opened={asking} close={() => setAsking(false)} act={leave}>
        <Text size="sm">What you wrote and did not send, and messages that still wait for a connection, are forgotten.</Text>
      </Ask>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <UnstyledButton aria-label={`${initialsOf(person)}: account of ${nameOf(person)}`}><PersonSign person={person} size="sm" /></UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{nameOf(person)}</Menu.Label>
          <Menu.Item
            leftSection={dark ? <IconSun size={16} /> : <IconMoon size={16} />}
            onClick={() => setColorScheme(dark ? "light" : "dark")}
          >
            {dark ? "Light" : "Dark"}
          </Menu.Item>
          <Menu.Item component="a" href="/auth/account" leftSection={<IconDeviceMobile size={16} />}>Password and security</Menu.Item>
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => { if (hasDrafts()) setAsking(true); else void leave() }}>Sign out</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  )
}
