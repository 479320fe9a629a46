import { Alert, Grid, Stack, Text } from "@mantine/core"
import { IconAlertTriangle, IconWifiOff } from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { Fragment, useMemo } from "react"
import { PersonName } from "../../parts/Person"
import { useMe } from "../../session/session"
import Discussion from "../discussion/Discussion"
import styles from "./consultation.module.css"
import { Controls } from "./Controls"
import { shownOf, tracksOf, type Wanted } from "./media"
import { Tile } from "./Tile"
import { useRoomOfCall } from "./useRoomOfCall"

/** Within the call: everybody's picture, what I can turn on and off, and what is written meanwhile. */
export function Room({ call, ice, wanted, leave }: { call: Encounter; ice: RTCIceServer[]; wanted: Wanted; leave: () => void }) {
  const { user } = useMe()
  const { media, state, room } = useRoomOfCall(call, ice, wanted)
  const { video } = tracksOf(state)
  const own = useMemo(() => (video === null ? undefined : new MediaStream([video])), [video])
  const problems = Object.values(state.problems).filter((text) => text !== undefined)
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 8 }}>
        <Stack gap="sm">
          {room.phase === "lost" && (
            <Alert color="orange" icon={<IconWifiOff />} title="The room is not reached">
              You are let in again as soon as there is a connection. Sound and pictures may go on meanwhile.
            </Alert>
          )}
          {room.phase === "refused" && (
            <Alert color="red" icon={<IconAlertTriangle />} title="You were not let into the room" role="alert">
              The call may be over, or you may no longer see it. Go back to the case.
            </Alert>
          )}
          {problems.map((text) => <Alert key={text} color="orange" icon={<IconAlertTriangle />} role="alert">{text}</Alert>)}
          <div className={styles.tiles} role="group" aria-label="People in the call">
            {room.others.map((other) => (
              <Tile key={other.user} user={other.user} stream={other.stream} shown={other.shown} link={other.link} />
            ))}
            <Tile user={user} stream={own} shown={shownOf(state)} isMe />
          </div>
          <Text size="sm" c="dimmed" role="status">
            {room.phase === "joining" && "Going in …"}
            {room.phase === "in" && (room.others.length === 0
              ? "You are alone here. Who works on the case sees that the call goes on, and can join."
              : <>With you: {room.others.map(({ user: one }, place) => (
                <Fragment key={one}>{place > 0 && ", "}<PersonName reference={one} /></Fragment>
              ))}</>)}
          </Text>
          <Controls call={call} media={media} state={state} leave={leave} />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 4 }}><Discussion encounter={call} /></Grid.Col>
    </Grid>
  )
}
