import type { Encounter } from "fhir/r4"
import { useCallback, useEffect, useRef } from "react"
import { useDraft } from "../../drafts/draft"
import type { KeptFile } from "../../drafts/outbox"
import type { Audience } from "./message"

/** What is being written: `answers` is a message's id. */
export type MessageDraft = { text: string; to: Audience; answers?: string; files: KeptFile[] }

const NOTHING: MessageDraft = { text: "", to: "team", files: [] }

/** One draft for each case and user, kept on reload. `change` may be called several times before it is shown. */
export function useMessageDraft(about: Encounter) {
  const [value, set, clear] = useDraft<MessageDraft>(`discussion:${about.id ?? ""}`, NOTHING)
  const latest = useRef(value)
  useEffect(() => {
    latest.current = value
  }, [value])
  const change = useCallback((part: Partial<MessageDraft>) => {
    latest.current = { ...latest.current, ...part }
    set(latest.current)
  }, [set])
  const files = useCallback((of: (now: KeptFile[]) => KeptFile[]) => change({ files: of(latest.current.files) }), [change])
  return { about, value, change, files, clear }
}

export type MessageDraftState = ReturnType<typeof useMessageDraft>
