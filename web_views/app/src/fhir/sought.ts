import type { Query } from "./server"

const DATE = /^\d{4}(-\d{2}(-\d{2})?)?$/

/** Patients by words of their name, a birth date or year, an identifier, in any order: "ash rob 1990". */
export function patientQuery(typed: string): Query {
  return { ...soughtBy(typed), _count: 12 }
}

/** The same; `of` is the way to the patient from what is searched: "patient." from an Encounter. */
export function soughtBy(typed: string, of = ""): Query {
  const words = typed.trim().split(/\s+/).filter(Boolean)
  const dates = words.filter((word) => DATE.test(word))
  const numbers = words.filter((word) => /\d/.test(word) && !DATE.test(word))
  const names = words.filter((word) => !/\d/.test(word)).map((word) => word.replaceAll(/["\\]/g, ""))
  return {
    [`${of}birthdate`]: dates[0],
    [`${of}identifier`]: numbers[0],
    _filter: names.filter(Boolean).map((word) => `${of}name sw "${word}"`).join(" and ") || undefined,
  }
}
