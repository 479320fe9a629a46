import { Button, Group, Text } from "@mantine/core"
import {
  IconMicrophone, IconMicrophoneOff, IconPhoneOff, IconScreenShare, IconScreenShareOff, IconVideo, IconVideoOff,
} from "@tabler/icons-react"
import type { Encounter } from "fhir/r4"
import { useRefresh } from "../../fhir/hooks"
import { Confirm } from "../../parts/Confirm"
import { useMe } from "../../session/session"
import { ended } from "./calls"
import { shownOf, type Media, type MediaState } from "./media"
import { record } from "./record"

const SIZE = 18
const canShare = () => typeof (navigator as { mediaDevices?: Partial<MediaDevices> }).mediaDevices?.getDisplayMedia === "function"

/** What others hear and see of me, and the way out. */
export function Controls({ call, media, state, leave }: { call: Encounter; media: Media; state: MediaState; leave: () => void }) {
  const { server } = useMe()
  const refresh = useRefresh()
  const { audio } = shownOf(state)
  const camera = state.camera !== null
  const screen = state.screen !== null

  async function end() {
    await record(server, call, (now) => ended(now, new Date().toISOString()))
    await refresh("Encounter", `Encounter/${call.id ?? ""}`)
  }

  return (
    <Group gap="xs" role="toolbar" aria-label="Call">
      <Button
        variant={audio ? "default" : "filled"} color={audio ? undefined : "red"} disabled={!state.isReady}
        leftSection={audio ? <IconMicrophone size={SIZE} aria-hidden /> : <IconMicrophoneOff size={SIZE} aria-hidden />}
        onClick={() => void media.speak()}
      >
        {audio ? "Mute" : state.microphone === null ? "Turn microphone on" : "Unmute"}
      </Button>
      <Button
        variant="default" disabled={!state.isReady} onClick={() => void media.toggle("camera")}
        leftSection={camera ? <IconVideo size={SIZE} aria-hidden /> : <IconVideoOff size={SIZE} aria-hidden />}
      >
        {camera ? "Turn camera off" : "Turn camera on"}
      </Button>
      {canShare() && (
        <Button
          variant={screen ? "filled" : "default"} disabled={!state.isReady} onClick={() => void media.toggle("screen")}
          leftSection={screen ? <IconScreenShareOff size={SIZE} aria-hidden /> : <IconScreenShare size={SIZE} aria-hidden />}
        >
          {screen ? "Stop sharing" : "Share screen"}
        </Button>
      )}
      <Button color="red" leftSection={<IconPhoneOff size={SIZE} aria-hidden />} onClick={leave}>Leave</Button>
      <Confirm
        label="End for everybody" title="End the call for everybody?" confirm="End the call" danger act={end}
        variant="default"
      >
        <Text size="sm">Everybody is put out, and the call is written down as over. To leave alone, press Leave.</Text>
      </Confirm>
    </Group>
  )
}
