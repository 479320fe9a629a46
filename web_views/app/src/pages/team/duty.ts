/** Who is on duty by the hours of a PractitionerRole, as the server reckons it: https://hl7.org/fhir/R4/practitionerrole.html */

import type { Period, PractitionerRole, PractitionerRoleAvailableTime } from "fhir/r4"

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const
const DAY_MS = 24 * 3600_000

/** Who states no hours is not on duty by schedule; nor is who is away, or whose role is over. Hours are this device's. */
export function isOnDuty(role: PractitionerRole, now: Date): boolean {
  if (role.active === false || !covers(role.period ?? {}, now)) return false
  if (role.notAvailable?.some(({ during }) => during === undefined || covers(during, now)) ?? false) return false
  return role.availableTime?.some((hours) => fits(hours, now)) ?? false
}

/** A date without a time is a whole day. */
export function covers({ start, end }: Period, now: Date): boolean {
  const day = isoDay(now)
  const begun = start === undefined || (start.includes("T") ? new Date(start) <= now : start <= day.slice(0, start.length))
  return begun && (end === undefined || (end.includes("T") ? now <= new Date(end) : day.slice(0, end.length) <= end))
}

/** "Mon–Fri 09:00–15:00", for each of the role's hours. */
export function hoursText(hours: PractitionerRoleAvailableTime): string {
  const days = hours.daysOfWeek?.map((day) => day[0]?.toUpperCase() + day.slice(1)) ?? []
  const named = days.length === 0 ? "Daily" : days.length > 2 && inARow(hours.daysOfWeek ?? []) ? `${days[0]}–${days.at(-1)}` : days.join(", ")
  if (hours.allDay === true) return `${named}, all day`
  return `${named} ${clock(hours.availableStartTime) ?? "00:00"}–${clock(hours.availableEndTime) ?? "24:00"}`
}

function fits(hours: PractitionerRoleAvailableTime, now: Date): boolean {
  const on = (day: Date) => hours.daysOfWeek?.some((one) => one === DAYS[day.getDay()]) ?? true
  if (hours.allDay === true) return on(now)
  const time = `${two(now.getHours())}:${two(now.getMinutes())}`
  const [start, end] = [clock(hours.availableStartTime) ?? "00:00", clock(hours.availableEndTime)]
  if (end === undefined || start < end) return on(now) && start <= time && (end === undefined || time < end)
  // Through the night: it begins on a day of theirs and ends on the next.
  return (on(now) && start <= time) || (on(new Date(now.getTime() - DAY_MS)) && time < end)
}

const clock = (time: string | undefined) => time?.slice(0, 5)
const two = (number: number) => String(number).padStart(2, "0")
const isoDay = (at: Date) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
const inARow = (days: string[]) => days.every((day, place) => place === 0 || DAYS.findIndex((one) => one === day) === (DAYS.findIndex((one) => one === days[place - 1]) + 1) % 7)
