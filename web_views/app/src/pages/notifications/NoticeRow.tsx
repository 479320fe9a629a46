import { ActionIcon, Badge, Group, Text, Tooltip, UnstyledButton } from "@mantine/core"
import { IconCheck, IconCircleFilled, IconX } from "@tabler/icons-react"
import type { Communication } from "fhir/r4"
import { useState } from "react"
import { Link } from "react-router"
import { words } from "../../fhir/outcome"
import { ago, momentText } from "../../words/dates"
import { isAlert, isUnread, pageOf, textOf } from "./notice"
import { RemovedRow } from "./RemovedRow"
import { useReading, useRemovals } from "./useNotices"

/** A notification: opening it reads it; it can be read or removed by itself. */
export function NoticeRow({ notice, about, onOpen }: { notice: Communication; about?: string; onOpen?: () => void }) {
  const { read } = useReading()
  const removals = useRemovals()
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)
  const id = notice.id ?? ""
  if (removals.list.some((one) => one.id === id)) return <RemovedRow notice={notice} removals={removals.of} />

  async function mark() {
    setBusy(true)
    setProblem(undefined)
    await read(notice).catch((error: unknown) => setProblem(words(error)))
    setBusy(false)
  }

  return (
    <Group component="li" gap={4} wrap="nowrap" align="center" py={4} style={{ borderBottom: "1px solid var(--line)" }}>
      <Said notice={notice} about={about} onOpen={() => { void mark(); onOpen?.() }} problem={problem} />
      {isUnread(notice) && (
        <Tooltip label="Mark as read">
          <ActionIcon aria-label={`Mark as read: ${textOf(notice)}`} loading={busy} onClick={() => void mark()}><IconCheck size={18} /></ActionIcon>
        </Tooltip>
      )}
      <Tooltip label="Remove">
        <ActionIcon color="gray" aria-label={`Remove: ${textOf(notice)}`} onClick={() => removals.of.remove({ id, unread: isUnread(notice) })}>
          <IconX size={18} />
        </ActionIcon>
      </Tooltip>
    </Group>
  )
}

function Said({ notice, about, onOpen, problem }: { notice: Communication; about?: string; onOpen: () => void; problem?: string }) {
  const page = pageOf(notice)
  const unread = isUnread(notice)
  const said = (
    <Group gap="xs" wrap="nowrap" align="start">
      <IconCircleFilled size={10} aria-hidden style={{ flexShrink: 0, marginTop: 6, visibility: unread ? "visible" : "hidden", color: "var(--mantine-color-anchor)" }} />
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={unread ? 600 : 400} className="wrap">
          {unread && <span className="visually-hidden">Unread: </span>}
          {textOf(notice)}
        </Text>
        {about !== undefined && <Text size="xs" className="wrap">{about}</Text>}
        <Group gap={6}>
          <Text size="xs" c="dimmed" component="time" dateTime={notice.sent} title={momentText(notice.sent)}>{ago(notice.sent)}</Text>
          {isAlert(notice) && <Badge color="red" size="sm">Alert</Badge>}
          {notice.priority === "urgent" && <Badge color="orange" size="sm">Urgent</Badge>}
        </Group>
        {problem !== undefined && <Text size="xs" c="red" role="alert">{problem}</Text>}
      </div>
    </Group>
  )
  const style = { flex: 1, minWidth: 0, padding: 6, borderRadius: 6 }
  return page === undefined
    ? <div style={style}>{said}</div>
    : <UnstyledButton component={Link} to={page} onClick={onOpen} style={style}>{said}</UnstyledButton>
}
