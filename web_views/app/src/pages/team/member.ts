import type { Bundle, Practitioner, PractitionerRole } from "fhir/r4"
import { keyOf, matches, ofType, referenceTo } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"

/** Somebody who works here, with what they do. */
export type Member = { person: Practitioner; roles: PractitionerRole[] }

export function members(bundles: Bundle<Practitioner>[]): Member[] {
  return bundles.flatMap((bundle) => {
    const roles = ofType(bundle, "PractitionerRole").filter(({ active }) => active !== false)
    return matches(bundle).filter((one) => one.resourceType === "Practitioner").map((person) =>
      ({ person, roles: roles.filter((role) => keyOf(role.practitioner) === referenceTo(person)) }))
  })
}

/** Those who are there come first; within that the order is the server's, by family name. */
export const hereFirst = (all: Member[], online: ReadonlySet<string>): Member[] =>
  [...all].sort((one, other) => Number(isHere(other, online)) - Number(isHere(one, online)))

export const isHere = ({ person }: Member, online: ReadonlySet<string>) => online.has(referenceTo(person))

/** "Doctor, Cardiology, General Medicine": each word once. */
export const aboutRole = (role: PractitionerRole) =>
  [...new Set([textOf(role.code?.[0]), ...(role.specialty ?? []).map(textOf), role.organization?.display])]
    .filter((part) => part !== undefined).join(" · ")

