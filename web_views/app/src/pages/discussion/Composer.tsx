import { ActionIcon, Alert, Button, Group, Paper, Text, Textarea } from "@mantine/core"
import { IconEye, IconSend, IconX } from "@tabler/icons-react"
import type { Communication } from "fhir/r4"
import { useState, type ClipboardEvent, type KeyboardEvent, type RefObject } from "react"
import { useOutbox } from "../../drafts/useOutbox"
import { referenceTo } from "../../fhir/bundle"
import { AudienceSwitch } from "./AudienceSwitch"
import { ChosenFiles, FilePicker, useFilesOf } from "./ChosenFiles"
import styles from "./discussion.module.css"
import { written } from "./message"
import { Quoted } from "./Quote"
import type { MessageDraftState } from "./useMessageDraft"

/** Where one writes. Enter sends, Shift and Enter begin a new line; with fingers Enter begins one, too. */
export function Composer({ draft, answered, input, typing }: {
  draft: MessageDraftState
  answered: Communication | undefined
  input: RefObject<HTMLTextAreaElement | null>
  typing: { type: () => void; stop: () => void }
}) {
  const { outbox } = useOutbox()
  const { value, change, about } = draft
  const files = useFilesOf(draft)
  const [hint, setHint] = useState<string>()
  const toPatient = value.to === "patient"
  const text = value.text.trim()

  function send() {
    if (text === "" && value.files.length === 0) return setHint("Write something, or add a file.")
    if (files.problem !== undefined) return
    setHint(undefined)
    const id = crypto.randomUUID()
    const resource = written(id, about, text, value.to, answered)
    outbox.add({ id, place: referenceTo(about), resource, files: value.files, written: new Date().toISOString(), tried: 0 })
    draft.clear()
    typing.stop()
    input.current?.focus()
  }

  function press(event: KeyboardEvent) {
    const isMeant = event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing
    if (!isMeant || (matchMedia("(pointer: coarse)").matches && !event.ctrlKey && !event.metaKey)) return
    event.preventDefault()
    send()
  }

  function paste(event: ClipboardEvent) {
    const pasted = [...event.clipboardData.files]
    if (pasted.length === 0) return
    event.preventDefault()
    void files.add(pasted)
  }

  return (
    <Paper p="xs" className={toPatient ? styles.toPatient : undefined} component="form"
      onSubmit={(event) => { event.preventDefault(); send() }}>
      {value.answers !== undefined && (
        <Group wrap="nowrap" align="start" gap={4} mb={6} aria-label="Answering" role="group">
          <div className={styles.quote}><Quoted message={answered} /></div>
          <ActionIcon size="md" color="gray" c="dimmed" aria-label="Do not answer this one" onClick={() => change({ answers: undefined })}>
            <IconX size={16} />
          </ActionIcon>
        </Group>
      )}
      <Textarea
        ref={input} aria-label="Message" placeholder={toPatient ? "Write to the patient" : "Write to the team"} autosize
        minRows={1} maxRows={8} value={value.text} onKeyDown={press} onPaste={paste} onBlur={typing.stop}
        onChange={(event) => { change({ text: event.currentTarget.value }); typing.type() }}
        styles={{ input: { fontSize: "var(--mantine-font-size-sm)" } }}
      />
      <ChosenFiles files={value.files} remove={files.remove} problem={files.problem} />
      {toPatient && (
        <Alert color="orange" p={6} mt={6} icon={<IconEye size={16} />} title={<Text size="xs" fw={600}>The patient will see this message</Text>} />
      )}
      {hint !== undefined && <Text size="xs" className={styles.bad} role="alert" mt={4}>{hint}</Text>}
      <Group justify="space-between" mt={6} gap="xs">
        <Group gap={4}>
          <AudienceSwitch value={value.to} change={(to) => change({ to })} />
          <FilePicker add={(chosen) => void files.add(chosen)} />
        </Group>
        <Button type="submit" size="xs" color={toPatient ? "grape.9" : undefined} rightSection={<IconSend size={15} aria-hidden />}>
          {toPatient ? "Send to the patient" : "Send"}
        </Button>
      </Group>
    </Paper>
  )
}
