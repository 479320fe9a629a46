import type { PractitionerRole } from "fhir/r4"
import { describe, expect, test } from "vitest"
import { hoursText, isOnDuty } from "./duty"

const role = (more: Partial<PractitionerRole>): PractitionerRole => ({ resourceType: "PractitionerRole", active: true, ...more })
const day = role({ availableTime: [{ daysOfWeek: ["mon", "tue"], availableStartTime: "09:00:00", availableEndTime: "15:00:00" }] })
const night = role({ availableTime: [{ daysOfWeek: ["sun"], availableStartTime: "22:00:00", availableEndTime: "06:00:00" }] })
const monday = (hour: number, minute = 0) => new Date(2026, 10, 23, hour, minute)

describe("on duty", () => {
  test("from the first minute of the hours until the last", () => {
    expect([monday(8, 59), monday(9), monday(14, 59), monday(15)].map((at) => isOnDuty(day, at))).toEqual([false, true, true, false])
  })
  test("through the night into the next day", () => {
    expect([monday(5, 59), monday(6), monday(22)].map((at) => isOnDuty(night, at))).toEqual([true, false, false])
  })
  test("nobody without hours, away, or whose role is over", () => {
    expect(isOnDuty(role({}), monday(10))).toBe(false)
    expect(isOnDuty({ ...day, active: false }, monday(10))).toBe(false)
    expect(isOnDuty({ ...day, notAvailable: [{ description: "Holiday", during: { start: "2026-11-20", end: "2026-11-23" } }] }, monday(10))).toBe(false)
    expect(isOnDuty({ ...day, period: { end: "2026-11-22" } }, monday(10))).toBe(false)
    expect(isOnDuty({ ...day, period: { start: "2026-11", end: "2026" } }, monday(10))).toBe(true)
  })
})

test("hours in words", () => {
  expect(hoursText({ daysOfWeek: ["mon", "tue", "wed"], availableStartTime: "09:00:00", availableEndTime: "15:00:00" })).toBe("Mon–Wed 09:00–15:00")
  expect(hoursText({ daysOfWeek: ["mon", "fri"], allDay: true })).toBe("Mon, Fri, all day")
  expect(hoursText({ availableStartTime: "07:30:00" })).toBe("Daily 07:30–24:00")
})
