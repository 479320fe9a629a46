import type { Bundle, FhirResource, Resource } from "fhir/r4"
import { useInfiniteQuery, useQuery, useQueryClient, keepPreviousData } from "@tanstack/react-query"
import { useCallback } from "react"
import { useMe } from "../session/session"
import { linkOf, matches } from "./bundle"
import type { Query } from "./server"

/** Queries are keyed by what they ask: ["read", "Patient/1"], ["search", "Encounter", {…}]; see `useRefresh`. */
export function useRead<R extends Resource>(reference: string | undefined) {
  const { server } = useMe()
  return useQuery({
    queryKey: ["read", reference],
    queryFn: ({ signal }) => server.read<R>(reference ?? "", signal),
    enabled: reference !== undefined,
  })
}

/** One page of a search, as a Bundle: what was included is in it. */
export function useSearch<R extends FhirResource = FhirResource>(path: string, query: Query, enabled = true) {
  const { server } = useMe()
  return useQuery({
    queryKey: ["search", path, query],
    queryFn: ({ signal }) => server.search<R>(path, query, signal),
    placeholderData: keepPreviousData,
    enabled,
  })
}

/** A search page by page, along the server's "next" links; `resources` are the matches of all pages so far. */
export function usePages<R extends FhirResource>(path: string, query: Query, enabled = true) {
  const { server } = useMe()
  const found = useInfiniteQuery({
    queryKey: ["search", path, query, "pages"],
    queryFn: ({ pageParam, signal }) =>
      pageParam === "" ? server.search<R>(path, query, signal) : server.search<R>(pageParam, {}, signal),
    initialPageParam: "",
    getNextPageParam: (page: Bundle<R>) => linkOf(page, "next"),
    placeholderData: keepPreviousData,
    enabled,
  })
  const bundles = found.data?.pages ?? []
  return { ...found, bundles, resources: bundles.flatMap((bundle) => matches(bundle)), total: bundles[0]?.total }
}

/** Ask anew what is shown of these: "Encounter" is every search of the type, "Encounter/1" what was read of it, too. */
export function useRefresh() {
  const client = useQueryClient()
  return useCallback(
    (...changed: string[]) => {
      const types = new Set(changed.map((one) => one.split("/")[0]))
      return client.invalidateQueries({
        predicate: ({ queryKey: [kind, what] }) =>
          kind === "read" ? changed.includes(String(what)) : types.has(String(what)),
      })
    },
    [client],
  )
}
