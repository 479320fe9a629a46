import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { Gathered } from "./gathered"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test("the first at once, the rest together, and nothing after the end", () => {
  const taken: number[][] = []
  const gathered = new Gathered<number>((all) => taken.push(all), 100)
  gathered.add(1)
  vi.advanceTimersByTime(1)
  for (const one of [2, 3, 4]) gathered.add(one)
  vi.advanceTimersByTime(50)
  expect(taken).toEqual([[1]])
  vi.advanceTimersByTime(50)
  expect(taken).toEqual([[1], [2, 3, 4]])
  vi.advanceTimersByTime(500)
  gathered.add(5)
  vi.advanceTimersByTime(1)
  expect(taken).toEqual([[1], [2, 3, 4], [5]])
  gathered.add(6)
  gathered.stop()
  vi.advanceTimersByTime(500)
  expect(taken).toHaveLength(3)
})
