import type { Bundle, Flag, Task } from "fhir/r4"
import { describe, expect, test } from "vitest"
import { concept, SYSTEM } from "../../fhir/codes"
import { span } from "./clock"
import { direction, distance, distanceText } from "./earth"
import { emergenciesOf, escalations, inOrder, partOf, placeOf, progressOf, type Progress } from "./emergency"
import { emptyForm, flagOf, onceOf, positionOf } from "./form"
import { freshOnes, oldOnes } from "./fresh"
import { happenings } from "./history"
import { whatOf, type Gravity } from "./kinds"
import { answersFrom } from "./respond"

const posted = (id: string, start: string, gravity: Gravity = "PH", more: Partial<Flag> = {}): Flag => ({
  ...flagOf({ ...emptyForm(), kind: "stroke", gravity }, "Patient/1"), id, period: { start }, author: { reference: "Practitioner/dora" }, ...more,
})
const part = (id: string, flag: string, owner: string, progress: Progress, more: Partial<Task> = {}): Task => ({
  resourceType: "Task", id, status: "in-progress", intent: "order", code: concept(SYSTEM.taskKind, "respond"),
  focus: { reference: `Flag/${flag}` }, owner: { reference: owner }, businessStatus: concept(SYSTEM.responder, progress), ...more,
})
const bundle = (...resources: (Flag | Task)[]): Bundle => ({ resourceType: "Bundle", type: "searchset", entry: resources.map((resource) => ({ resource })) })

describe("an emergency", () => {
  test("has its Tasks, and the gravest and newest come first, what is over last", () => {
    const all = emergenciesOf([bundle(
      posted("low", "2026-01-01T12:00:00Z", "PL"), posted("old", "2026-01-01T10:00:00Z"), posted("new", "2026-01-01T11:00:00Z"),
      posted("over", "2026-01-01T12:00:00Z", "PH", { status: "inactive" }), part("p", "new", "Practitioner/pete", "en-route"),
    )])
    expect(inOrder(all).map(({ flag }) => flag.id)).toEqual(["new", "old", "low", "over"])
    expect(all.find(({ flag }) => flag.id === "new")?.responders.map(progressOf)).toEqual(["en-route"])
  })
  test("of somebody's own parts the one that lasts counts", () => {
    const [one] = emergenciesOf([bundle(posted("a", ""), part("1", "a", "Practitioner/pete", "finished"), part("2", "a", "Practitioner/pete", "on-scene"))])
    expect(one && partOf(one, "Practitioner/pete")?.id).toBe("2")
    expect(one && partOf(one, "Practitioner/pam")).toBeUndefined()
  })
  test("what may be answered follows the server's table", () => {
    expect(answersFrom(undefined)).toEqual(["en-route", "on-scene", "declined"])
    expect(answersFrom("on-scene")).toEqual(["finished"])
    expect(answersFrom("declined")).not.toContain("finished")
  })
})

describe("a form", () => {
  test("makes a Flag with kind, words, priority and a position that says how exact it is", () => {
    const form = { ...emptyForm("Patient/1", "Encounter/2"), kind: "stroke", words: " left arm ", position: { latitude: 52.5, longitude: 13.4, accuracy: 24.2 } }
    const flag = flagOf(form, "Patient/1")
    expect(whatOf(flag)).toEqual({ title: "Stroke", words: "left arm" })
    expect(flag.encounter).toEqual({ reference: "Encounter/2" })
    expect(positionOf(placeOf(flag).here)).toEqual({ latitude: 52.5, longitude: 13.4, accuracy: 25 })
    expect(onceOf(flag)).toBe(`identifier=urn%3Aietf%3Arfc%3A3986%7Curn%3Auuid%3A${form.uuid}`)
  })
  test("words alone, as others post them, are the title", () => {
    expect(whatOf({ ...posted("a", ""), code: { text: "I have fallen" } })).toEqual({ title: "I have fallen" })
  })
})

test("what is fresh: neither seen, nor mine, nor answered; the old is no alarm at the first visit", () => {
  const all = emergenciesOf([bundle(
    posted("seen", "2026-01-01T10:00:00Z"), posted("mine", "2026-01-01T10:00:00Z", "PH", { author: { reference: "Practitioner/pete" } }),
    posted("answered", "2026-01-01T10:00:00Z"), part("1", "answered", "Practitioner/pete", "declined"), posted("fresh", "2026-01-01T10:55:00Z"),
  )])
  expect(freshOnes(all, ["seen"], "Practitioner/pete").map(({ flag }) => flag.id)).toEqual(["fresh"])
  expect(oldOnes(all, Date.parse("2026-01-01T11:00:00Z"))).toEqual(["seen", "mine", "answered"])
})

test("history tells each step once", () => {
  const first = posted("a", "2026-01-01T10:00:00Z", "PH", { meta: { versionId: "1" } })
  const over: Flag = { ...first, status: "inactive", period: { start: "2026-01-01T10:00:00Z", end: "2026-01-01T10:20:00Z" }, meta: { versionId: "2" } }
  const state = (version: string, level?: string): Task => ({
    resourceType: "Task", id: "t", status: "requested", intent: "order", code: concept(SYSTEM.taskKind, "emergency"),
    businessStatus: level === undefined ? undefined : concept(SYSTEM.escalation, level), lastModified: "2026-01-01T10:02:00Z", meta: { versionId: version },
  })
  const tasks = [
    part("p", "a", "Practitioner/pete", "on-scene", { lastModified: "2026-01-01T10:10:00Z", meta: { versionId: "2" } }),
    part("p", "a", "Practitioner/pete", "en-route", { lastModified: "2026-01-01T10:05:00Z", meta: { versionId: "1" } }),
    state("1"), state("2", "1"), state("3", "1"),
  ]
  expect(escalations(state("2", "1"))).toBe(1)
  expect(happenings([over, first], tasks).map(({ what }) => what)).toEqual([
    "raised it", "Escalated: everybody is told", "is on the way", "is on the scene", "Resolved",
  ])
})

test("clocks and distances", () => {
  expect([-5, 252_000, 3_852_000, 183_600_000].map(span)).toEqual(["00:00", "04:12", "1:04:12", "2 d 3 h"])
  const [gate, tower] = [{ latitude: 52.5163, longitude: 13.3777 }, { latitude: 52.5208, longitude: 13.4094 }]
  expect(Math.round(distance(gate, tower) / 100)).toBe(22)
  expect([direction(gate, tower), direction(tower, gate)]).toEqual(["east", "west"])
  expect([distanceText(319.6), distanceText(4210)]).toEqual(["320 m", "4.2 km"])
})
