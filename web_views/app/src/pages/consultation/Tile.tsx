import { Avatar, Button, Group, Text } from "@mantine/core"
import { IconMicrophoneOff, IconScreenShare, IconVideoOff } from "@tabler/icons-react"
import type { Practitioner } from "fhir/r4"
import { useEffect, useRef, useState } from "react"
import { useRead } from "../../fhir/hooks"
import { initialsOf, nameOf } from "../../words/names"
import type { Shown } from "./call"
import styles from "./consultation.module.css"
import type { Link } from "./peer"

/** One person in the call: picture or initials, and what of them is off. */
export function Tile({ user, stream, shown, link = "connected", isMe = false }: {
  user: string
  stream: MediaStream | undefined
  shown: Shown
  link?: Link
  isMe?: boolean
}) {
  const person = useRead<Practitioner>(user)
  const name = isMe ? "You" : person.data === undefined ? "…" : nameOf(person.data)
  return (
    <figure className={styles.tile} aria-label={name}>
      <Picture stream={stream} label={`Picture of ${name}`} isMuted={isMe} look={[
        styles.picture, shown.screen && styles.whole, isMe && !shown.screen && styles.mirror, !shown.video && styles.off,
      ]} />
      {!shown.video && <Avatar size={72} radius="50%" color="sea" variant="filled" aria-hidden>{initialsOf(person.data)}</Avatar>}
      <figcaption className={styles.caption}>
        <Text size="sm" fw={600} span>{name}</Text>
        <Group gap={6} component="span">
          {!isMe && link !== "connected" && <Text size="xs" span>{link === "lost" ? "Line lost, trying again …" : "Connecting …"}</Text>}
          {!shown.audio && <Sign icon={IconMicrophoneOff} text="Muted" />}
          {!shown.video && <Sign icon={IconVideoOff} text="Camera off" />}
          {shown.screen && <Sign icon={IconScreenShare} text="Shares the screen" />}
        </Group>
      </figcaption>
    </figure>
  )
}

const Sign = ({ icon: Icon, text }: { icon: typeof IconVideoOff; text: string }) => (
  <Group gap={3} component="span"><Icon size={15} aria-hidden /><Text size="xs" span>{text}</Text></Group>
)

function Picture({ stream, label, isMuted, look }: {
  stream: MediaStream | undefined
  label: string
  isMuted: boolean
  look: (string | false | undefined)[]
}) {
  const video = useRef<HTMLVideoElement>(null)
  const [isHeld, setIsHeld] = useState(false) // the browser plays nothing before somebody has pressed something
  useEffect(() => {
    const element = video.current
    if (element === null) return
    element.srcObject = stream ?? null
    if (stream !== undefined)
      element.play().catch((error: unknown) => setIsHeld(error instanceof DOMException && error.name === "NotAllowedError"))
  }, [stream])
  return (
    <>
      <video ref={video} className={look.filter(Boolean).join(" ")} aria-label={label} autoPlay playsInline muted={isMuted} />
      {isHeld && (
        <Button pos="absolute" onClick={() => { setIsHeld(false); void video.current?.play() }}>Start sound and picture</Button>
      )}
    </>
  )
}
