import { ActionIcon, FileButton, Group, Text } from "@mantine/core"
import { IconPaperclip, IconX } from "@tabler/icons-react"
import { useState } from "react"
import { forgetFile, keepFile } from "../../drafts/files"
import type { KeptFile } from "../../drafts/outbox"
import styles from "./discussion.module.css"
import { sizeText, tooMuch } from "./sizes"
import type { MessageDraftState } from "./useMessageDraft"

/** The files of a draft: kept in the browser from the moment they are chosen, so that a reload loses none. */
export function useFilesOf(draft: MessageDraftState) {
  const [failed, setFailed] = useState<string>()

  async function add(chosen: readonly File[]) {
    setFailed(undefined)
    try {
      for (const file of chosen) {
        const kept: KeptFile = {
          key: crypto.randomUUID(),
          name: file.name === "" ? "Picture" : file.name,
          type: file.type === "" ? "application/octet-stream" : file.type,
          size: file.size,
        }
        const problem = tooMuch([kept])
        if (problem !== undefined) return setFailed(problem)
        await keepFile(kept.key, file)
        draft.files((now) => [...now, kept])
      }
    } catch {
      setFailed("This browser has no room for the file.")
    }
  }

  function remove(key: string) {
    draft.files((now) => now.filter((one) => one.key !== key))
    void forgetFile(key).catch(() => undefined)
  }

  return { add, remove, problem: tooMuch(draft.value.files) ?? failed }
}

export function FilePicker({ add }: { add: (files: File[]) => void }) {
  return (
    <FileButton multiple onChange={add}>
      {(props) => <ActionIcon {...props} size="md" aria-label="Add files" title="Add files"><IconPaperclip size={17} /></ActionIcon>}
    </FileButton>
  )
}

export function ChosenFiles({ files, remove, problem }: {
  files: readonly KeptFile[]
  remove: (key: string) => void
  problem: string | undefined
}) {
  return (
    <>
      {files.length > 0 && (
        <Group gap={8} mt={6} role="list" aria-label="Files of the message">
          {files.map(({ key, name, size }) => (
            <Group key={key} gap={2} wrap="nowrap" role="listitem">
              <Text size="xs">{name} · {sizeText(size)}</Text>
              <ActionIcon size={24} color="gray" c="dimmed" aria-label={`Remove ${name}`} onClick={() => remove(key)}><IconX size={14} /></ActionIcon>
            </Group>
          ))}
        </Group>
      )}
      {problem !== undefined && <Text size="xs" className={styles.bad} role="alert" mt={4}>{problem}</Text>}
    </>
  )
}
