import type { Flag } from "fhir/r4"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { FhirError, Offline } from "../../fhir/outcome"
import { emptyForm, flagOf } from "./form"
import { Outbox } from "./outbox"

const SHELF = "draft:emergencies"
const flag = flagOf(emptyForm(), "Patient/1")
const arrived: Flag = { ...flag, id: "7" }

beforeEach(() => {
  vi.useFakeTimers()
  localStorage.clear()
})
afterEach(() => vi.useRealTimers())

test("it is tried until it arrives, always as the same one, and says so meanwhile", async () => {
  const post = vi.fn().mockRejectedValueOnce(new Offline()).mockRejectedValueOnce(new FhirError(503)).mockResolvedValue(arrived)
  const outbox = new Outbox(post, SHELF)
  outbox.add("u", flag)
  outbox.add("u", flag)
  await vi.advanceTimersByTimeAsync(10)
  expect(outbox.all()).toMatchObject([{ state: "waiting", problem: "There is no connection to the server." }])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(outbox.all()).toMatchObject([{ state: "sent", id: "7" }])
  expect(post).toHaveBeenCalledTimes(3)
  expect(new Set(post.mock.calls.map((call) => JSON.stringify(call))).size).toBe(1)
})

test("nobody waits out a pause when the connection is back", async () => {
  const post = vi.fn().mockRejectedValueOnce(new Offline()).mockResolvedValue(arrived)
  const outbox = new Outbox(post, SHELF)
  outbox.add("u", flag)
  await vi.advanceTimersByTimeAsync(10)
  outbox.hurry()
  await vi.advanceTimersByTimeAsync(10)
  expect(outbox.all()).toMatchObject([{ state: "sent" }])
})

test("an answer that does not come is no success", async () => {
  const outbox = new Outbox(() => new Promise<Flag>(() => undefined), SHELF)
  outbox.add("u", flag)
  await vi.advanceTimersByTimeAsync(8_100)
  expect(outbox.all()).toMatchObject([{ state: "waiting", problem: "The server has not answered yet." }])
})

test("what is refused is not tried again by itself", async () => {
  const post = vi.fn().mockRejectedValueOnce(new FhirError(403)).mockResolvedValue(arrived)
  const outbox = new Outbox(post, SHELF)
  outbox.add("u", flag)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(outbox.all()).toMatchObject([{ state: "refused", problem: "You may not do this." }])
  expect(post).toHaveBeenCalledTimes(1)
  outbox.again("u")
  await vi.advanceTimersByTimeAsync(10)
  expect(outbox.all()).toMatchObject([{ state: "sent" }])
})

test("after a reload it goes on, and asks first when it has waited for long", async () => {
  const down = new Outbox(vi.fn().mockRejectedValue(new Offline()), SHELF)
  down.add("u", flag)
  await vi.advanceTimersByTimeAsync(10)
  const post = vi.fn().mockResolvedValue(arrived)
  expect(new Outbox(post, SHELF, Date.now() + 3600_000).all()).toMatchObject([{ state: "old" }])
  expect(post).not.toHaveBeenCalled()
  const again = new Outbox(post, SHELF)
  await vi.advanceTimersByTimeAsync(10)
  expect(again.all()).toMatchObject([{ state: "sent" }])
})
