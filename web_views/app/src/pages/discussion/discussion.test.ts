import type { Communication, Encounter } from "fhir/r4"
import { describe, expect, it } from "vitest"
import type { Entry } from "../../drafts/outbox"
import { concept, SYSTEM } from "../../fhir/codes"
import { dayText } from "./days"
import { audienceOf, audienceOfNew, isEdited, reworded, saidIn, uuidOf, withFiles, written } from "./message"
import { firstUnread, isUnread, readsOf } from "./reading"
import { FILE_MOST, sizeText, tooMuch } from "./sizes"
import { timeline } from "./timeline"

const ofCase: Encounter = { resourceType: "Encounter", id: "case", status: "planned", class: { code: "VR" } }
const said = (id: string, sender: string, sent: string, more: Partial<Communication> = {}): Communication => ({
  resourceType: "Communication",
  id,
  identifier: [{ system: "urn:ietf:rfc:3986", value: `urn:uuid:uuid-${id}` }],
  status: "completed",
  sender: { reference: sender },
  sent,
  payload: [{ contentString: id }],
  ...more,
})
const receipt = (of: string, sender: string, status: Communication["status"] = "completed"): Communication => ({
  resourceType: "Communication",
  status,
  category: [concept(SYSTEM.message, "receipt")],
  inResponseTo: [{ reference: `Communication/${of}` }],
  sender: { reference: sender },
})
const [ME, DORA] = ["Practitioner/me", "Practitioner/dora"]

describe("a message", () => {
  it("is of the discussion, under an identifier, and leaves the rest to the server", () => {
    const message = written("u1", ofCase, "Hello", "team")
    expect(message.identifier?.[0]?.value).toBe("urn:uuid:u1")
    expect(message).not.toHaveProperty("sender")
    expect([audienceOfNew(message), uuidOf(message), saidIn(message)]).toEqual(["team", "u1", "Hello"])
  })
  it("to the patient is a chat", () => expect(audienceOfNew(written("u", ofCase, "Hello", "patient"))).toBe("patient"))
  it("answers one, within the thread of its first", () => {
    const first = said("a", DORA, "2026-03-04T09:00:00Z")
    expect(written("u", ofCase, "Yes", "team", first).partOf?.[0]?.reference).toBe("Communication/a")
    const second = { ...first, id: "b", partOf: [{ reference: "Communication/a" }] }
    const third = written("u", ofCase, "Yes", "team", second)
    expect([third.inResponseTo?.[0]?.reference, third.partOf?.[0]?.reference]).toEqual(["Communication/b", "Communication/a"])
  })
  it("names its files by the urn that they are stored under", () => {
    const file = { key: "f1", name: "ecg.pdf", type: "application/pdf", size: 9 }
    const [attached] = withFiles(written("u", ofCase, "", "team"), [file]).payload ?? []
    expect(attached?.contentAttachment).toEqual({ contentType: "application/pdf", url: "urn:uuid:f1", title: "ecg.pdf", size: 9 })
  })
  it("keeps its files when its words change", () => {
    const file = { contentAttachment: { url: "Binary/1" } }
    const message = said("a", ME, "", { payload: [{ contentString: "Old" }, file] })
    expect(reworded(message, "New")).toEqual([{ contentString: "New" }, file])
    expect(reworded(message, "")).toEqual([file])
  })
  it("is the team's by its label", () => {
    const labelled = said("a", ME, "", { meta: { security: [{ code: "team-discussion" }] } })
    expect([audienceOf(labelled), audienceOf(said("a", ME, ""))]).toEqual(["team", "patient"])
  })
  it("is edited from its second version on, unless deleted", () => {
    const second = said("a", ME, "", { meta: { versionId: "2" } })
    expect([isEdited(said("a", ME, "")), isEdited(second), isEdited({ ...second, status: "entered-in-error" })])
      .toEqual([false, true, false])
  })
})

describe("reading", () => {
  const messages = [said("a", DORA, ""), said("b", ME, ""), said("c", DORA, "", { status: "entered-in-error" }), said("d", DORA, "")]
  it("is by completed receipts, each reader once", () => {
    const reads = readsOf([receipt("b", DORA), receipt("b", DORA), receipt("b", "Practitioner/nick", "in-progress"), said("x", ME, "")])
    expect(reads.get("b")?.map(({ by }) => by.reference)).toEqual([DORA])
    expect(reads.size).toBe(1)
  })
  it("waits for what is somebody else's, there, and not read by me", () => {
    const reads = readsOf([receipt("a", ME)])
    expect(messages.map((one) => isUnread(one, [ME], reads))).toEqual([false, false, false, true])
    expect(firstUnread(messages, [ME], reads)).toBe("d")
    expect(firstUnread(messages, [ME], readsOf([receipt("a", ME), receipt("d", ME)]))).toBeUndefined()
  })
})

describe("the timeline", () => {
  const waiting = (id: string): Entry => ({
    id, place: "Encounter/case", resource: written(id, ofCase, id, "team"), files: [], written: "", tried: 0,
  })
  const kinds = (items: ReturnType<typeof timeline>) => items.map(({ kind }) => kind)
  const local = (day: number, hour: number, minute = 0) => new Date(2026, 2, day, hour, minute).toISOString()

  it("has a line for each day, and one before the first unread", () => {
    const items = timeline([said("a", DORA, local(4, 9)), said("b", DORA, local(4, 22)), said("c", DORA, local(5, 0, 1))], [], "b")
    expect(kinds(items)).toEqual(["day", "message", "unread", "message", "day", "message"])
  })
  it("says a name once for what one says in a row", () => {
    const items = timeline([
      said("a", DORA, local(4, 9)), said("b", DORA, local(4, 9, 2)), said("c", ME, local(4, 9, 3)), said("d", ME, local(4, 10)),
    ], [], undefined)
    expect(items.flatMap((item) => (item.kind === "message" ? [item.follows] : []))).toEqual([false, true, false, false])
  })
  it("ends with what waits, without what has arrived meanwhile", () => {
    const items = timeline([said("a", ME, local(4, 9))], [waiting("uuid-a"), waiting("z")], undefined)
    expect(kinds(items)).toEqual(["day", "message", "waiting"])
    expect(new Set(items.map(({ key }) => key)).size).toBe(items.length)
  })
  it("names today and yesterday", () => {
    const now = new Date(2026, 2, 5, 12)
    expect([dayText(local(5, 1), now), dayText(local(4, 23), now)]).toEqual(["Today", "Yesterday"])
    expect(dayText(local(3, 23), now)).toContain("2026")
  })
})

describe("files", () => {
  it("have a size in words", () => expect([sizeText(120), sizeText(82_400), sizeText(1_240_000)]).toEqual(["1 KB", "82 KB", "1.2 MB"]))
  it("may not be too large, alone or together", () => {
    const file = (size: number) => ({ name: "scan.pdf", size })
    expect(tooMuch([file(FILE_MOST)])).toBeUndefined()
    expect(tooMuch([file(FILE_MOST + 1)])).toMatch(/^scan.pdf has 4.5 MB/)
    expect(tooMuch([file(FILE_MOST), file(FILE_MOST), file(FILE_MOST)])).toMatch(/together/)
  })
})
