import { Stack } from "@mantine/core"
import type { Encounter } from "fhir/r4"
import { useCallback, useMemo, useRef } from "react"
import { useOutbox } from "../../drafts/useOutbox"
import { referenceTo } from "../../fhir/bundle"
import { useLive, useRoom } from "../../live/live"
import { Failure, Loading } from "../../parts/States"
import { useMe } from "../../session/session"
import { Composer } from "./Composer"
import { Earlier } from "./Earlier"
import { Heard } from "./Heard"
import { Here } from "./Here"
import { Messages } from "./Messages"
import { audienceOf } from "./message"
import { isUnread } from "./reading"
import { TalkContext, type Talk } from "./talk"
import { timeline } from "./timeline"
import { useMessageDraft } from "./useMessageDraft"
import { useMessages } from "./useMessages"
import { useSeen } from "./useSeen"
import { useTyping } from "./useTyping"
import { useUnread } from "./useUnread"

/** What people say about a case, or in a consultation. Live; what one says is kept until it has arrived. */
export default function Discussion({ encounter }: { encounter: Encounter }) {
  const { server, user, roles } = useMe()
  const { connected } = useLive()
  const here = useRoom(encounter.id)
  const typing = useTyping(encounter.id ?? "")
  const { entries } = useOutbox()
  const { pages, messages, known, reads } = useMessages(referenceTo(encounter))
  const mine = useMemo(() => [user, ...roles], [user, roles])
  const unread = useUnread(messages, mine, reads, pages.data !== undefined && !pages.isPlaceholderData)
  const scroller = useRef<HTMLDivElement>(null)
  const input = useRef<HTMLTextAreaElement>(null)
  const watch = useSeen(server, connected, scroller)
  const draft = useMessageDraft(encounter)

  const show = useCallback((id: string) => {
    const found = scroller.current?.querySelector<HTMLElement>(`[data-message="${CSS.escape(id)}"]`)
    found?.scrollIntoView({ block: "center" })
    found?.focus({ preventScroll: true })
  }, [])
  const { change } = draft
  const answer = useCallback<Talk["answer"]>((message) => {
    change({ answers: message.id, to: audienceOf(message) })
    input.current?.focus()
  }, [change])
  const isWaiting = useCallback<Talk["isWaiting"]>((message) => isUnread(message, mine, reads), [mine, reads])
  const talk = useMemo<Talk>(
    () => ({ known, reads, mine, watch, answer, show, isWaiting }),
    [known, reads, mine, watch, answer, show, isWaiting],
  )

  const items = timeline(messages, entries.filter(({ place }) => place === referenceTo(encounter)), unread)
  return (
    <TalkContext value={talk}>
      <Stack gap="xs" component="section" aria-label="Discussion">
        {pages.error && <Failure error={pages.error} retry={() => void pages.refetch()} />}
        {pages.data === undefined && !pages.error && <Loading rows={3} />}
        {(pages.data !== undefined || items.length > 0) && (
          <Messages items={items} scroller={scroller} waiting={messages.filter(isWaiting).length}>
            <Earlier of={pages} />
          </Messages>
        )}
        <Here here={here} typing={typing.who} />
        <Composer draft={draft} answered={known.get(draft.value.answers ?? "")} input={input} typing={typing} />
        <Heard messages={messages} mine={mine} />
      </Stack>
    </TalkContext>
  )
}
