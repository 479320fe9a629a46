import { beforeEach, describe, expect, it } from "vitest"
import { FhirError, Offline, SignedOut } from "../fhir/outcome"
import { isRefusal, next, Outbox, Unsendable, type Entry } from "./outbox"

const entry = (id: string, place = "Encounter/1", more: Partial<Entry> = {}): Entry => ({
  id,
  place,
  resource: { resourceType: "Communication", status: "completed", payload: [{ contentString: id }] },
  files: [],
  written: "2026-03-04T09:00:00Z",
  tried: 0,
  ...more,
})
const no = new FhirError(403, {
  resourceType: "OperationOutcome",
  issue: [{ severity: "error", code: "forbidden", diagnostics: "Not you." }],
})

/** A server that makes each identifier once, and whose answers can be lost. */
class Server {
  made: string[] = []
  refuses = new Set<string>()
  loses = 0 // so many answers
  isAway = false

  send = (one: Entry): Promise<void> => {
    if (this.isAway) return Promise.reject(new Offline())
    if (this.refuses.has(one.id)) return Promise.reject(no)
    if (!this.made.includes(one.id)) this.made.push(one.id)
    if (this.loses-- > 0) return Promise.reject(new Offline())
    return Promise.resolve()
  }
}

let server: Server
let outbox: Outbox
const reloaded = () => new Outbox(localStorage, "draft:Practitioner/1:outbox")
const ids = (box: Outbox) => box.all().map(({ id }) => id)

beforeEach(() => {
  localStorage.clear()
  server = new Server()
  outbox = reloaded()
})

describe("what may be sent next", () => {
  it("is the oldest", () => expect(next([entry("a"), entry("b")])?.id).toBe("a"))
  it("is nothing of an empty outbox", () => expect(next([])).toBeUndefined())
  it("waits behind what was refused, and other places do not", () => {
    const entries = [entry("a", "Encounter/1", { refused: "No." }), entry("b"), entry("c", "Encounter/2")]
    expect(next(entries)?.id).toBe("c")
  })
})

describe("a refusal", () => {
  it.each([400, 403, 404, 409, 412, 413, 422])("is %i", (status) => expect(isRefusal(new FhirError(status))).toBe(true))
  it.each([401, 408, 429, 500, 502, 503])("is not %i", (status) => expect(isRefusal(new FhirError(status))).toBe(false))
  it("is what can never be sent", () => expect(isRefusal(new Unsendable("Its file is gone."))).toBe(true))
  it("is neither a lost connection nor an ended sign-in", () => {
    expect([new Offline(), new SignedOut(), new Error("?")].some(isRefusal)).toBe(false)
  })
})

describe("an outbox", () => {
  it("sends in order, and is empty then", async () => {
    for (const id of ["a", "b", "c"]) outbox.add(entry(id))
    expect(await outbox.flush(server.send)).toBe("empty")
    expect(server.made).toEqual(["a", "b", "c"])
    expect(outbox.all()).toEqual([])
    expect(localStorage.length).toBe(0)
  })

  it("keeps everything while the server is away, over a reload", async () => {
    server.isAway = true
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    expect(await outbox.flush(server.send)).toBe("later")
    const again = reloaded()
    expect(again.all().map(({ id, tried }) => [id, tried])).toEqual([["a", 1], ["b", 0]])
    server.isAway = false
    await again.flush(server.send)
    expect(server.made).toEqual(["a", "b"])
  })

  it("makes nothing twice when an answer is lost", async () => {
    server.loses = 1
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    expect(await outbox.flush(server.send)).toBe("later")
    expect(await outbox.flush(server.send)).toBe("empty")
    expect(server.made).toEqual(["a", "b"])
  })

  it("says why something was refused, holds back what followed it, and goes on when it is retried", async () => {
    server.refuses.add("a")
    for (const one of [entry("a"), entry("b"), entry("c", "Encounter/2")]) outbox.add(one)
    await outbox.flush(server.send)
    expect(server.made).toEqual(["c"])
    expect(outbox.all()[0]?.refused).toBe("Not you.")
    server.refuses.clear()
    outbox.retry("a")
    await outbox.flush(server.send)
    expect(server.made).toEqual(["c", "a", "b"])
  })

  it("lets go of what is discarded, and sends the rest", async () => {
    server.refuses.add("a")
    outbox.add(entry("a"))
    outbox.add(entry("b"))
    await outbox.flush(server.send)
    outbox.discard("a")
    await outbox.flush(server.send)
    expect(server.made).toEqual(["b"])
  })

  it("sends what is added while it sends, and never two at a time", async () => {
    let most = 0
    let now = 0
    const slow = async (one: Entry) => {
      most = Math.max(most, ++now)
      if (one.id === "a") outbox.add(entry("b"))
      await server.send(one)
      now--
    }
    outbox.add(entry("a"))
    await Promise.all([outbox.flush(slow), outbox.flush(slow)])
    expect([server.made, most]).toEqual([["a", "b"], 1])
  })

  it("tells its listeners, marks what is on its way, and heeds other tabs", async () => {
    const seen: (string | undefined)[] = []
    outbox.subscribe(() => seen.push(outbox.sending))
    outbox.add(entry("a"))
    await outbox.flush(server.send)
    expect(seen).toContain("a")
    expect(seen.at(-1)).toBeUndefined()
    reloaded().add(entry("z"))
    outbox.reload()
    expect(ids(outbox)).toEqual(["z"])
  })

  it("begins anew where what was kept cannot be read", () => {
    localStorage.setItem("draft:Practitioner/1:outbox", "{")
    expect(reloaded().all()).toEqual([])
  })
})
