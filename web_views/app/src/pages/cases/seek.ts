/** Staff by what somebody types into one box. */

import type { Bundle, Practitioner, PractitionerRole } from "fhir/r4"
import { keyOf, ofType } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import type { Query } from "../../fhir/server"
import { nameOf } from "../../words/names"

/** What to ask for staff: people by name with their roles, roles by specialty with their people. */
export function staffQueries(typed: string): { people: Query; roles: Query } {
  const text = typed.trim()
  return {
    people: { name: text, active: "true", _revinclude: "PractitionerRole:practitioner", _count: 12 },
    roles: { "specialty:text": text, active: "true", _include: "PractitionerRole:practitioner", _count: 12 },
  }
}

export type Colleague = { reference: string; name: string; about: string }

/** Who was found, each person once; a role that nobody in particular has stands for itself. */
export function colleagues(...found: (Bundle | undefined)[]): Colleague[] {
  const roles = found.flatMap((bundle) => ofType(bundle, "PractitionerRole"))
  const people = found.flatMap((bundle) => ofType(bundle, "Practitioner")).filter((one) => one.active !== false)
  const persons = people.map((person) => ({
    reference: `Practitioner/${person.id ?? ""}`,
    name: nameOf(person),
    about: aboutOf(roles.filter((role) => keyOf(role.practitioner) === `Practitioner/${person.id ?? ""}`)),
  }))
  const duties = roles
    .filter((role) => role.practitioner === undefined)
    .map((role) => ({ reference: `PractitionerRole/${role.id ?? ""}`, name: aboutOf([role]), about: "On duty" }))
  return [...new Map([...persons, ...duties].map((one) => [one.reference, one])).values()]
}

/** "Doctor, Cardiology": what somebody is here. */
export function aboutOf(roles: PractitionerRole[]): string {
  const words = roles.flatMap((role) => [textOf(role.code?.[0]), textOf(role.specialty?.[0]) ?? role.organization?.display])
  return [...new Set(words.filter((word) => word !== undefined))].join(", ")
}

/** The person behind a participant's reference: themselves, or who has the role. */
export function personOf(among: Bundle | undefined, key: string): { person?: Practitioner; role?: PractitionerRole } {
  const role = ofType(among, "PractitionerRole").find(({ id }) => `PractitionerRole/${id ?? ""}` === key)
  const wanted = role === undefined ? key : keyOf(role.practitioner)
  const person = ofType(among, "Practitioner").find(({ id }) => `Practitioner/${id ?? ""}` === wanted)
  return { person, role }
}
