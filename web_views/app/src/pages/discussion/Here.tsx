import { Group, Text } from "@mantine/core"
import { IconPencil, IconUsers } from "@tabler/icons-react"
import { Fragment } from "react"
import { PersonName } from "../../parts/Person"
import { useMe } from "../../session/session"

/** Who is typing; when nobody is, who else has this open. */
export function Here({ here, typing }: { here: ReadonlySet<string>; typing: readonly string[] }) {
  const { user } = useMe()
  const others = [...here].filter((one) => one !== user)
  const busy = typing.filter((one) => one !== user)
  return (
    <Group gap={6} mih={20} wrap="nowrap" c="dimmed" role="status" aria-label="Who is here">
      {busy.length > 0
        ? <><IconPencil size={15} aria-hidden /><Text size="xs"><Names of={busy} /> {busy.length > 1 ? "are" : "is"} typing …</Text></>
        : others.length > 0
          ? <><IconUsers size={15} aria-hidden /><Text size="xs">Here now: <Names of={others} /></Text></>
          : <Text size="xs">Nobody else is here now.</Text>}
    </Group>
  )
}

const Names = ({ of }: { of: readonly string[] }) => (
  <>{of.map((one, place) => <Fragment key={one}>{place > 0 && ", "}<PersonName reference={one} /></Fragment>)}</>
)
