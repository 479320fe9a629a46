import type { Bundle, Encounter } from "fhir/r4"
import { keepPreviousData, useInfiniteQuery, useQueryClient, type InfiniteData } from "@tanstack/react-query"
import { useCallback, useRef, useState } from "react"
import { linkOf } from "../../fhir/bundle"
import type { Query } from "../../fhir/server"
import { useTopic } from "../../live/live"
import { useMe } from "../../session/session"
import { merged } from "./merge"

const MANY = 40 // changed at once, so that the whole list is asked anew
const MARKED = 60_000 // ms that a change is marked for

/** Cases page by page. A change is read by itself and put in its place, however long the list is. */
export function useCases(query: Query, first: boolean) {
  const { server } = useMe()
  const client = useQueryClient()
  const [recent, mark] = useRecent()
  const key = ["worklist", query]
  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      pageParam === ""
        ? server.search<Encounter>("Encounter", { ...query, _count: 50, _total: "accurate" }, signal)
        : server.search<Encounter>(pageParam, {}, signal),
    initialPageParam: "",
    getNextPageParam: (page: Bundle<Encounter>) => linkOf(page, "next"),
    placeholderData: keepPreviousData,
    staleTime: 0,
  })

  async function changed(references: string[]) {
    const ids = [...new Set(references.flatMap((one) => (one.startsWith("Encounter/") ? [one.slice(10)] : [])))]
    if (ids.length === 0 || ids.length > MANY) return client.invalidateQueries({ queryKey: key })
    const now = await server.search<Encounter>("Encounter", { ...query, _id: ids, _count: MANY })
    mark((now.entry ?? []).flatMap(({ resource }) => (resource?.resourceType === "Encounter" ? [resource.id ?? ""] : [])))
    client.setQueryData<InfiniteData<Bundle<Encounter>, string>>(
      key,
      (data) => data && { ...data, pages: merged(data.pages, ids, now, first) as Bundle<Encounter>[] },
    )
  }
  useTopic("case", (references) => void changed(references).catch(() => client.invalidateQueries({ queryKey: key })))
  return { ...found, bundles: found.data?.pages ?? [], total: found.data?.pages[0]?.total, recent }
}

/** Ids that are marked for a minute. */
function useRecent(): [ReadonlySet<string>, (ids: string[]) => void] {
  const [recent, setRecent] = useState<ReadonlySet<string>>(new Set())
  const ends = useRef(new Map<string, number>())
  const mark = useCallback((ids: string[]) => {
    setRecent((now) => new Set([...now, ...ids]))
    for (const id of ids) {
      clearTimeout(ends.current.get(id))
      const end = () => setRecent((now) => new Set([...now].filter((one) => one !== id)))
      ends.current.set(id, window.setTimeout(end, MARKED))
    }
  }, [])
  return [recent, mark]
}
