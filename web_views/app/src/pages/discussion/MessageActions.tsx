import { ActionIcon, Group, Menu, Text } from "@mantine/core"
import { IconArrowBackUp, IconDots, IconEye, IconPencil, IconTrash } from "@tabler/icons-react"
import type { Communication } from "fhir/r4"
import { useState } from "react"
import { referenceTo } from "../../fhir/bundle"
import { useRefresh } from "../../fhir/hooks"
import type { PatchStep } from "../../fhir/server"
import { useMe } from "../../session/session"
import { Ask } from "../../parts/Ask"
import { audienceOf, filesIn, saidIn, TEAM } from "./message"
import { Quoted } from "./Quote"
import { useTalk } from "./talk"

/** Answer; of one's own: edit, open to the patient, delete. */
export function MessageActions({ message, isMine, edit }: { message: Communication; isMine: boolean; edit: () => void }) {
  const { server } = useMe()
  const refresh = useRefresh()
  const { answer } = useTalk()
  const [asking, setAsking] = useState<"delete" | "open">()
  const about = (saidIn(message) || filesIn(message)[0]?.title || "file").slice(0, 40)

  async function change(steps: PatchStep[]) {
    try {
      await server.patch(referenceTo(message), steps, message.meta?.versionId)
    } finally {
      await refresh("Communication")
    }
  }

  return (
    <Group gap={2} wrap="nowrap">
      <ActionIcon size={26} color="gray" c="dimmed" aria-label={`Answer: ${about}`} title="Answer" onClick={() => answer(message)}>
        <IconArrowBackUp size={16} />
      </ActionIcon>
      {isMine && (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <ActionIcon size={26} color="gray" c="dimmed" aria-label={`More: ${about}`} title="More"><IconDots size={16} /></ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconPencil size={16} />} onClick={edit}>Edit</Menu.Item>
            {audienceOf(message) === "team" && message.subject !== undefined && (
              <Menu.Item leftSection={<IconEye size={16} />} onClick={() => setAsking("open")}>Show to the patient</Menu.Item>
            )}
            <Menu.Item leftSection={<IconTrash size={16} />} onClick={() => setAsking("delete")}>Delete</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
      <Ask
        title="Delete this message?" confirm="Delete" opened={asking === "delete"} close={() => setAsking(undefined)}
        act={() => change([{ op: "replace", path: "/status", value: "entered-in-error" }])}
      >
        <Quoted message={message} />
        <Text size="sm">What it says is gone for everybody; its place stays. This cannot be undone.</Text>
        {filesIn(message).length > 0 && <Text size="sm">Its files are no longer shown here, and stay in the record.</Text>}
      </Ask>
      <Ask
        title="Show this message to the patient?" confirm="Show to the patient" opened={asking === "open"}
        close={() => setAsking(undefined)} act={() => change(opened(message))}
      >
        <Quoted message={message} />
        <Text size="sm">The patient sees it, with its files, from now on. What was seen cannot be taken back.</Text>
      </Ask>
    </Group>
  )
}

/** One change: the label off, the patient among the recipients. */
function opened(message: Communication): PatchStep[] {
  const labels = (message.meta?.security ?? []).filter(({ code }) => code !== TEAM)
  const recipient = [...(message.recipient ?? []), { reference: message.subject?.reference }]
  return [
    labels.length > 0
      ? { op: "replace", path: "/meta/security", value: labels }
      : { op: "remove", path: "/meta/security" },
    { op: "add", path: "/recipient", value: recipient },
  ]
}
