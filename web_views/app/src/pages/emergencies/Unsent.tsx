import { Alert, Anchor, Button, Group, Stack, Text } from "@mantine/core"
import { IconAlertTriangle, IconCheck } from "@tabler/icons-react"
import { Link } from "react-router"
import { span, useNow } from "./clock"
import { whatOf } from "./kinds"
import type { Letter, Outbox } from "./outbox"

/** What has not gone out stays in sight on every page, until it has or is given up. */
export function Unsent({ letters, outbox, hidden }: { letters: readonly Letter[]; outbox: Outbox; hidden: boolean }) {
  const shown = hidden ? [] : letters.filter(({ state }) => state !== "sending")
  return shown.map((letter) => <LetterState key={letter.uuid} letter={letter} outbox={outbox} />)
}

/** How an emergency fares on its way, loudly while it has not arrived. */
export function LetterState({ letter, outbox, done }: { letter: Letter; outbox: Outbox; done?: () => void }) {
  const { uuid, flag, state, problem, id } = letter
  const over = () => { outbox.discard(uuid); done?.() }
  if (state === "sent")
    return (
      <Alert color="green" icon={<IconCheck />} title="Help is called" role="status">
        <Stack gap="xs" align="start">
          <Text size="sm">{whatOf(flag).title}: everybody on duty is told.</Text>
          <Group gap="sm">
            <Button size="xs" component={Link} to={`/emergencies/${id ?? ""}`} onClick={over}>See who comes</Button>
            <Button size="xs" variant="default" onClick={over}>Close</Button>
          </Group>
        </Stack>
      </Alert>
    )
  if (state === "sending") return <Alert color="gray" title="Calling for help…" role="status">No answer of the server yet.</Alert>
  return (
    <Alert color="red" variant="filled" icon={<IconAlertTriangle />} title="NOT SENT: nobody knows of this emergency" role="alert">
      <Stack gap="xs" align="start">
        <Text size="sm" fw={600}>Call for help by telephone, or call out to somebody near, now.</Text>
        <Text size="sm">{whatOf(flag).title}. {problem}</Text>
        {state === "waiting" && <Trying since={letter.since} />}
        {state === "old" && <Text size="sm">It has waited for long. Is it still needed?</Text>}
        <Group gap="sm">
          {state === "waiting"
            ? <Button size="xs" variant="white" color="dark" onClick={outbox.hurry}>Try now</Button>
            : <Button size="xs" variant="white" color="dark" onClick={() => outbox.again(uuid)}>Send again</Button>}
          <Anchor component="button" type="button" size="sm" c="inherit" td="underline" onClick={over}>
            {state === "waiting" ? "Give up sending" : "Discard"}
          </Anchor>
        </Group>
      </Stack>
    </Alert>
  )
}

function Trying({ since }: { since: number }) {
  const now = useNow()
  return (
    <Text size="sm" className="numbers" aria-live="off">
      It is tried again every few seconds, since {span(now - since)}. Leave this page open.
    </Text>
  )
}
