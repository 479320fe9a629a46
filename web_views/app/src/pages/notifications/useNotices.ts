import { useQueryClient, type QueryClient } from "@tanstack/react-query"
import type { Bundle, Communication } from "fhir/r4"
import { useSyncExternalStore } from "react"
import { matches } from "../../fhir/bundle"
import { useRefresh, useSearch } from "../../fhir/hooks"
import { FhirError } from "../../fhir/outcome"
import { useMe, type Me } from "../../session/session"
import { casesOf, isAlert, isUnread, noticesOf, unreadOf } from "./notice"
import { Removals } from "./removals"

const ALL = 200 // alerts that "mark all" reads one by one

export const useRecipient = (): string[] => {
  const { user, roles } = useMe()
  return [user, ...roles]
}

/** How many are unread, without those that are being removed; undefined while it is not known. */
export function useUnread(): number | undefined {
  const found = useSearch("Communication", unreadOf(useRecipient()))
  const leaving = useRemovals().list.filter(({ unread }) => unread).length
  return found.data?.total === undefined ? undefined : Math.max(found.data.total - leaving, 0)
}

/** The cases that these are about, with their patients: one search for all of them. */
export function useCasesOf(notices: Communication[]): Bundle | undefined {
  const ids = casesOf(notices)
  return useSearch("Encounter", { _id: ids, _include: "Encounter:subject", _count: 100 }, ids.length > 0).data
}

/** Reading one, and all up to the newest that is shown: what came meanwhile stays unread. */
export function useReading() {
  const { server } = useMe()
  const recipient = useRecipient()
  const refresh = useRefresh()

  async function read(notice: Communication): Promise<void> {
    if (!isUnread(notice)) return
    await server.operation(`Communication/${notice.id ?? ""}/$mark-read`)
    await refresh("Communication", `Communication/${notice.id ?? ""}`)
  }

  async function readAll(newest: Communication | undefined): Promise<void> {
    const until = newest?.sent
    try {
      await server.operation("Communication/$mark-read", until === undefined ? [] : [{ name: "until", valueInstant: until }])
      // Alerts are read one by one: the server marks all notifications, and no alert by the way.
      const unread = await server.search<Communication>("Communication", {
        ...noticesOf(recipient, ["in-progress"]), sent: until === undefined ? undefined : `le${until}`, _count: ALL,
      })
      for (const alert of matches(unread).filter(isAlert)) await server.operation(`Communication/${alert.id ?? ""}/$mark-read`)
    } finally {
      await refresh("Communication")
    }
  }
  return { read, readAll }
}

export function useRemovals() {
  const me = useMe()
  const client = useQueryClient()
  const of = removalsOf(me, client)
  return { list: useSyncExternalStore(of.listen, of.all), of }
}

const begun = new Map<string, Removals>() // once for the tab, whatever is shown of it

function removalsOf({ server, user }: Me, client: QueryClient): Removals {
  const there = begun.get(user)
  if (there !== undefined) return there
  const made = new Removals(`draft:${user}:removing`, async (id) => {
    try {
      await server.patch(`Communication/${id}`, [{ op: "replace", path: "/status", value: "entered-in-error" }])
    } catch (error) {
      if (!(error instanceof FhirError)) throw error // refused: it is shown again as it is
    }
    await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[1] === "Communication" })
  })
  begun.set(user, made)
  return made
}
