import { Button, Group, Paper, Stack, Text } from "@mantine/core"
import { IconUrgent } from "@tabler/icons-react"
import { useEffect, useEffectEvent } from "react"
import { Link, useLocation } from "react-router"
import { useMe } from "../../session/session"
import { timeText } from "../../words/dates"
import { nameOf } from "../../words/names"
import { PersonName } from "../../parts/Person"
import { gravityOf, sinceOf, type Emergency } from "./emergency"
import { freshOnes, oldOnes } from "./fresh"
import { gravityText, whatOf } from "./kinds"
import { ring, SOUND } from "./sound"
import { useShelf } from "./shelf"

const MOST = 3

/** Emergencies that began while one was elsewhere: each stays until it is seen, in one tab of the browser. */
export function Alerts({ of }: { of: { emergencies: Emergency[]; data?: unknown } }) {
  const { user } = useMe()
  const { pathname } = useLocation()
  const [seen, shelf] = useShelf<string[]>(`emergencies-seen:${user}`)
  const [sound] = useShelf<boolean>(SOUND)
  const { emergencies } = of
  const begun = of.data !== undefined && seen !== undefined
  const fresh = begun ? freshOnes(emergencies, seen, user) : []
  const onBoard = /^\/emergencies\/?$/.test(pathname)
  const inSight = onBoard ? emergencies.map(({ flag }) => flag.id ?? "") : [pathname.split("/emergencies/")[1] ?? ""]
  const toSee = fresh.flatMap(({ flag: { id = "" } }) => (inSight.includes(id) ? [id] : [])).join(" ")
  const shown = fresh.filter(({ flag }) => !inSight.includes(flag.id ?? ""))

  const see = (...ids: string[]) => {
    const active = emergencies.map(({ flag }) => flag.id)
    shelf.set([...(shelf.get() ?? []).filter((id) => active.includes(id)), ...ids])
  }
  const seeThese = useEffectEvent((ids: string) => see(...ids.split(" ")))
  const first = useEffectEvent(() => shelf.set(oldOnes(emergencies, Date.now())))
  useEffect(() => {
    if (of.data !== undefined && seen === undefined) first()
  }, [of.data, seen])
  useEffect(() => {
    if (toSee !== "") seeThese(toSee)
  }, [toSee])
  const loudest = fresh.map(({ flag }) => flag.id).join(" ")
  useEffect(() => {
    if (sound === true && loudest !== "") ring()
  }, [sound, loudest])

  return (
    <>
      {shown.slice(0, MOST).map((one) => <OneAlert key={one.flag.id} of={one} seen={() => see(one.flag.id ?? "")} />)}
      {shown.length > MOST && (
        <Button component={Link} to="/emergencies" color="red">{shown.length - MOST} more: all emergencies</Button>
      )}
    </>
  )
}

function OneAlert({ of: { flag, patient }, seen }: { of: Emergency; seen: () => void }) {
  const { title, words } = whatOf(flag)
  return (
    <Paper role="alert" p="sm" shadow="lg" style={{ borderColor: "var(--mantine-color-red-filled)", borderWidth: 2 }}>
      <Group gap="sm" wrap="nowrap" align="start">
        <IconUrgent size={24} color="var(--mantine-color-red-text)" aria-hidden style={{ flex: "none" }} />
        <Stack gap={4} style={{ minWidth: 0 }}>
          <Text fw={650} className="wrap">Emergency: {title}, {patient === undefined ? "patient" : nameOf(patient)}</Text>
          {words !== undefined && <Text size="sm" className="wrap" lineClamp={3}>{words}</Text>}
          <Text size="sm" c="dimmed">
            {gravityText(gravityOf(flag))} priority, at {timeText(sinceOf(flag))} by <PersonName reference={flag.author} />
          </Text>
          <Group gap="xs">
            <Button size="xs" color="red" component={Link} to={`/emergencies/${flag.id ?? ""}`} onClick={seen}>Look</Button>
            <Button size="xs" variant="default" onClick={seen}>Seen</Button>
          </Group>
        </Stack>
      </Group>
    </Paper>
  )
}
