import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { Removals } from "./removals"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  localStorage.clear()
})

const made = (refuse = 0) => {
  const sent: string[] = []
  let left = refuse
  const removals = new Removals("shelf", (id) => (left-- > 0 ? Promise.reject(new Error("away")) : Promise.resolve(sent.push(id))))
  return { removals, sent }
}

test("it is sent when it can be undone no more", async () => {
  const { removals, sent } = made()
  removals.remove({ id: "a", unread: true })
  await vi.advanceTimersByTimeAsync(9_000)
  expect([sent, removals.all()]).toEqual([[], [{ id: "a", unread: true }]])
  await vi.advanceTimersByTimeAsync(2_000)
  expect([sent, removals.all()]).toEqual([["a"], []])
})

test("undone, the server never hears of it", async () => {
  const { removals, sent } = made()
  removals.remove({ id: "a", unread: true })
  removals.undo("a")
  await vi.advanceTimersByTimeAsync(60_000)
  expect([sent, removals.all(), localStorage.length]).toEqual([[], [], 0])
})

test("it waits for whoever is at it", async () => {
  const { removals, sent } = made()
  removals.remove({ id: "a", unread: false })
  removals.hold("a")
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sent).toEqual([])
  removals.release("a")
  await vi.advanceTimersByTimeAsync(11_000)
  expect(sent).toEqual(["a"])
})

test("a closed tab and a lost connection forget none", async () => {
  made().removals.remove({ id: "a", unread: true })
  vi.clearAllTimers()
  const { removals, sent } = made(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect([sent, removals.all().length]).toEqual([[], 1])
  await vi.advanceTimersByTimeAsync(11_000)
  expect([sent, removals.all()]).toEqual([["a"], []])
})
