// @vitest-environment jsdom
import { QueryClient, QueryClientProvider, useInfiniteQuery } from "@tanstack/react-query"
import { act, useEffect } from "react"
import { createRoot, type Root } from "react-dom/client"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { useMore } from "./useMore"

type Request = { page: number; answer: () => void; fail: () => void }

let client: QueryClient
let root: Root
let requests: Request[]
let shown: number[]
let list: ReturnType<typeof useMore>

function List() {
  const found = useInfiniteQuery({
    queryKey: ["list"],
    queryFn: ({ pageParam, signal }) =>
      new Promise<number>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("given up")))
        requests.push({ page: pageParam, answer: () => resolve(pageParam), fail: () => reject(new Error("cut")) })
      }),
    initialPageParam: 1,
    getNextPageParam: (page) => (page < 3 ? page + 1 : undefined),
    retry: false,
  })
  const now = useMore(found)
  useEffect(() => {
    shown = found.data?.pages ?? []
    list = now
  })
  return null
}

const settled = () => act(async () => { await new Promise((done) => setTimeout(done)) })
const until = (check: () => void) => vi.waitFor(async () => { await settled(); check() }, 60_000) // of its own: one second

async function answer(page: number) {
  await until(() => expect(requests.at(-1)?.page).toBe(page))
  act(() => requests.at(-1)?.answer())
}

beforeEach(async () => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })
  client = new QueryClient()
  requests = []
  root = createRoot(document.createElement("div"))
  act(() => root.render(<QueryClientProvider client={client}><List /></QueryClientProvider>))
  await answer(1)
  await until(() => expect(shown).toEqual([1]))
  requests = []
})

afterEach(() => {
  act(() => root.unmount())
  client.clear()
})

test("the next page, once, when it is wanted", async () => {
  await settled()
  expect(requests).toEqual([])
  act(() => list.more())
  expect(list.waiting).toBe(true)
  await answer(2)
  await until(() => expect(shown).toEqual([1, 2]))
  expect(list.waiting).toBe(false)
  await settled()
  expect(requests.map((one) => one.page)).toEqual([2])
})

test("a list that is asked anew meanwhile gives up the page, and it is asked for again", async () => {
  act(() => list.more())
  await settled()
  act(() => void client.invalidateQueries({ queryKey: ["list"] }))
  await settled()
  await answer(1)
  expect(shown).toEqual([1])
  expect(list.waiting).toBe(true)
  await answer(2)
  await until(() => expect(shown).toEqual([1, 2]))
  expect(requests.map((one) => one.page)).toEqual([2, 1, 2])
})

test("what is being asked anew is not given up for a page", async () => {
  act(() => void client.invalidateQueries({ queryKey: ["list"] }))
  await settled()
  act(() => list.more())
  await settled()
  expect(requests.map((one) => one.page)).toEqual([1])
  await answer(1)
  await answer(2)
  await until(() => expect(shown).toEqual([1, 2]))
})

test("a page that failed is asked for when it is wanted again, and not before", async () => {
  act(() => list.more())
  await settled()
  act(() => requests.at(-1)?.fail())
  await until(() => expect(list.waiting).toBe(false))
  expect(requests.map((one) => one.page)).toEqual([2])
  act(() => list.more())
  await answer(2)
  await until(() => expect(shown).toEqual([1, 2]))
})
