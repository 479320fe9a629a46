import type { Bundle, CareTeam, FhirResource, HealthcareService, Organization, Practitioner, PractitionerRole } from "fhir/r4"
import { nameOf } from "../words/names"
import { keyOf, matches, ofType, referenceTo, resolved } from "./bundle"
import { textOf } from "./codes"
import type { FhirServer, Query } from "./server"

/** Whom one can ask, tell or share with: `about` is what they do, where. */
export type Party = { reference: string; display: string; about: string }
export type PartyKind = "PractitionerRole" | "Practitioner" | "HealthcareService" | "Organization" | "CareTeam"

const COUNT = 10
const WITH_PERSON = { active: "true", _include: "PractitionerRole:practitioner", _count: COUNT }

/** Active people, services and houses of these kinds whose name or specialty has the words. */
export async function directory(
  server: FhirServer, text: string, kinds: readonly PartyKind[], signal?: AbortSignal,
): Promise<Party[]> {
  const word = longest(text)
  if (word === "") return []
  const asked: Record<PartyKind, [string, Query][]> = {
    PractitionerRole: [
      ["PractitionerRole", { "practitioner.name:contains": word, ...WITH_PERSON }],
      ["PractitionerRole", { "specialty:text": word, ...WITH_PERSON }],
    ],
    Practitioner: [["Practitioner", { "name:contains": word, active: "true", _count: COUNT }]],
    HealthcareService: [
      ["HealthcareService", { "name:contains": word, active: "true", _count: COUNT }],
      ["HealthcareService", { "service-type:text": word, active: "true", _count: COUNT }],
    ],
    Organization: [["Organization", { "name:contains": word, active: "true", _count: COUNT }]],
    CareTeam: [], // named by their patient, not by a directory
  }
  const found = await Promise.all(
    kinds.flatMap((kind) => asked[kind]).map(([path, query]) => server.search(path, query, signal)),
  )
  return parties(found).filter((party) => fits(party, text))
}

/** What searches found as parties, each once; a person who is found in a role is not there a second time. */
export function parties(found: Bundle<FhirResource>[]): Party[] {
  const roles = found.flatMap((bundle) => ofType(bundle, "PractitionerRole").map((role) => ({ role, bundle })))
  const inRole = new Set(roles.map(({ role }) => keyOf(role.practitioner)))
  const all = [
    ...roles.map(({ role, bundle }) => roleParty(role, resolved(bundle, "Practitioner", role.practitioner))),
    ...found.flatMap((bundle) => matches(bundle).flatMap(party)).filter((one) => !inRole.has(one.reference)),
  ]
  return [...new Map(all.map((one) => [one.reference, one])).values()]
}

export function roleParty(role: PractitionerRole, person: Practitioner | undefined): Party {
  const display = person === undefined ? (role.practitioner?.display ?? "Somebody") : nameOf(person)
  return { reference: referenceTo(role), display, about: joined(textOf(role.specialty?.[0]) ?? textOf(role.code?.[0]), role.organization?.display) }
}

/** A resource that is a party by itself, as a list of one; nothing for others. */
export function party(one: FhirResource): Party[] {
  switch (one.resourceType) {
    case "Practitioner": return [{ reference: referenceTo(one), display: nameOf(one), about: joined(textOf(one.qualification?.[0]?.code)) }]
    case "HealthcareService": return [houseParty(one, joined("Service", textOf(one.type?.[0])))]
    case "Organization": return [houseParty(one, textOf(one.type?.[0]) ?? "Organization")]
    case "CareTeam": return [houseParty(one, "Care team")]
    default: return []
  }
}

const houseParty = (one: HealthcareService | Organization | CareTeam, about: string): Party => ({
  reference: referenceTo(one), display: one.name ?? "Without a name", about,
})

const joined = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(" · ")
const plain = (text: string) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()
const wordsOf = (text: string) => text.split(/[\s,·]+/).filter((word) => word !== "")
const longest = (text: string) => wordsOf(text).reduce((best, word) => (word.length > best.length ? word : best), "")

/** Whether every word is somewhere in what is said of the party: the server was asked for the longest one only. */
export function fits(one: Party, text: string): boolean {
  const said = plain(`${one.display} ${one.about}`)
  return wordsOf(plain(text)).every((word) => said.includes(word))
}
