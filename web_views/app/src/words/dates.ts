/** Dates in the user's own locale and zone. FHIR dates may lack day or month, and are then written so. */

const LOCALE = navigator.languages
const DATE = new Intl.DateTimeFormat([...LOCALE], { dateStyle: "medium" })
const TIME = new Intl.DateTimeFormat([...LOCALE], { timeStyle: "short" })
const BOTH = new Intl.DateTimeFormat([...LOCALE], { dateStyle: "medium", timeStyle: "short" })
const MONTH = new Intl.DateTimeFormat([...LOCALE], { month: "long", year: "numeric" })
const AGO = new Intl.RelativeTimeFormat([...LOCALE], { numeric: "auto", style: "long" })

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** "4 Mar 2026", "March 2026" or "2026", as precise as the FHIR date or dateTime is. */
export function dateText(value: string | undefined): string {
  if (value === undefined) return "—"
  const [year, month, day] = value.split("T")[0]?.split("-") ?? []
  if (month === undefined || day === undefined)
    return month === undefined ? (year ?? "—") : MONTH.format(new Date(Number(year), Number(month) - 1, 1))
  return DATE.format(value.includes("T") ? new Date(value) : new Date(Number(year), Number(month) - 1, Number(day)))
}

/** "4 Mar 2026, 14:05"; a date without time stays one. */
export const momentText = (value: string | undefined) =>
  value?.includes("T") ? BOTH.format(new Date(value)) : dateText(value)

export const timeText = (value: string | undefined) => (value === undefined ? "—" : TIME.format(new Date(value)))

/** "5 minutes ago", "yesterday"; after a week the date. */
export function ago(value: string | undefined, now: number = Date.now()): string {
  if (value === undefined) return "—"
  const past = new Date(value).getTime() - now
  const size = Math.abs(past)
  if (size < MINUTE) return "just now"
  if (size < HOUR) return AGO.format(Math.round(past / MINUTE), "minute")
  if (size < DAY) return AGO.format(Math.round(past / HOUR), "hour")
  return size < 7 * DAY ? AGO.format(Math.round(past / DAY), "day") : dateText(value)
}

/** Whole years, or months below two years: "34 y", "7 mo". */
export function age(birthDate: string | undefined, at: Date = new Date()): string | undefined {
  if (birthDate === undefined) return undefined
  const [year = 0, month = 1, day = 1] = birthDate.split("-").map(Number)
  const months = (at.getFullYear() - year) * 12 + at.getMonth() + 1 - month - (at.getDate() < day ? 1 : 0)
  return months < 24 ? `${Math.max(months, 0)} mo` : `${Math.floor(months / 12)} y`
}
