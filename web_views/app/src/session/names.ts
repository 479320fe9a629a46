import type { PractitionerRole } from "fhir/r4"
import { keyOf, matches } from "../fhir/bundle"
import { useSearch } from "../fhir/hooks"
import { useMe } from "./session"

/** What means the user: `self` are they and their roles, `houses` the Organizations and HealthcareServices of these. */
export type Names = { self: string[]; houses: string[]; known: boolean }

export function useNames(): Names {
  const { user, roles } = useMe()
  const found = useSearch<PractitionerRole>("PractitionerRole", { practitioner: user, active: "true" }, roles.length > 0)
  const houses = matches(found.data).flatMap((role) => [role.organization, ...(role.healthcareService ?? [])]).map(keyOf)
  return {
    self: [user, ...roles],
    houses: [...new Set(houses.filter((house) => house !== undefined))],
    known: roles.length === 0 || found.data !== undefined,
  }
}
