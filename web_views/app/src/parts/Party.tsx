import type { CareTeam, HealthcareService, Organization, PractitionerRole, Reference } from "fhir/r4"
import { Fragment } from "react"
import { keyOf } from "../fhir/bundle"
import { textOf } from "../fhir/codes"
import { useRead } from "../fhir/hooks"
import { PersonName } from "./Person"

type House = Organization | HealthcareService | CareTeam

/** The name of whoever a reference means: a person, somebody in a role, a house, a service, a team. */
export function PartyName({ reference }: { reference: Reference | string | undefined }) {
  const key = keyOf(reference)
  const display = typeof reference === "string" ? undefined : reference?.display
  if (display !== undefined) return <>{display}</>
  if (key?.startsWith("PractitionerRole/")) return <RoleName reference={key} />
  if (key !== undefined && /^(Organization|HealthcareService|CareTeam)\//.test(key)) return <HouseName reference={key} />
  return <PersonName reference={reference} />
}

function RoleName({ reference }: { reference: string }) {
  const role = useRead<PractitionerRole>(reference)
  const does = textOf(role.data?.specialty?.[0])
  if (role.data === undefined) return <>{role.isPending ? "…" : reference}</>
  return <><PersonName reference={role.data.practitioner} />{does === undefined ? "" : ` (${does})`}</>
}

function HouseName({ reference }: { reference: string }) {
  const house = useRead<House>(reference)
  return <>{house.data?.name ?? (house.isPending ? "…" : reference)}</>
}

const PARTY = /((?:Practitioner|PractitionerRole|Organization|HealthcareService|CareTeam)\/[A-Za-z0-9.-]*[A-Za-z0-9-])/

/** What the server says, with names in place of references. */
export function Said({ children }: { children: string }) {
  return (
    <>
      {children.split(PARTY).map((part, place) => (
        <Fragment key={place}>{place % 2 === 1 ? <PartyName reference={part} /> : part}</Fragment>
      ))}
    </>
  )
}
