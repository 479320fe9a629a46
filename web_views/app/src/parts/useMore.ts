import { useEffect, useState } from "react"

export type Paged = {
  data?: { pages: unknown[] }
  hasNextPage: boolean
  isFetching: boolean
  isFetchNextPageError: boolean
  fetchNextPage: () => unknown
}

/**
 * The next page of a list, asked for until it is there: `more` is the wish, `waiting` while it is not fulfilled.
 *
 * A live list is asked anew whenever something changes, and whichever of the two requests begins later ends the other.
 */
export function useMore({ data, hasNextPage, isFetching, isFetchNextPageError, fetchNextPage }: Paged) {
  const [wanted, want] = useState(0) // how many pages there are to be
  const count = data?.pages.length ?? 0
  const waiting = wanted > count && hasNextPage
  const next = waiting && !isFetching && !isFetchNextPageError
  useEffect(() => {
    if (next) void fetchNextPage()
  }, [next, fetchNextPage])
  const more = () => {
    want(count + 1)
    if (isFetchNextPageError && !isFetching) void fetchNextPage()
  }
  return { more, waiting: waiting && !isFetchNextPageError }
}
