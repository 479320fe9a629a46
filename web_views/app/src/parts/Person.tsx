import { Avatar, Indicator } from "@mantine/core"
import type { Patient, Practitioner, Reference } from "fhir/r4"
import { keyOf } from "../fhir/bundle"
import { useRead } from "../fhir/hooks"
import { useLive } from "../live/live"
import { initialsOf, nameOf } from "../words/names"

/** A person's name, whatever a reference says of it; asked for only when it does not. */
export function PersonName({ reference }: { reference: Reference | string | undefined }) {
  const key = keyOf(reference)
  const display = typeof reference === "string" ? undefined : reference?.display
  const isPerson = key !== undefined && /^(Practitioner|Patient|RelatedPerson)\//.test(key)
  const asked = useRead<Practitioner>(display === undefined && isPerson ? key : undefined)
  return <>{display ?? (asked.data ? nameOf(asked.data) : (asked.isPending && isPerson ? "…" : (key ?? "Unknown")))}</>
}

/** A sign with initials; a green dot says that this member of staff is online. */
export function PersonSign({ person, size = "md" }: { person: Practitioner | Patient; size?: string }) {
  const { online } = useLive()
  const here = online.has(`${person.resourceType}/${person.id ?? ""}`)
  return (
    <Indicator color="green" disabled={!here} position="bottom-end" offset={4} withBorder>
      <Avatar size={size} color="sea" radius="xl" aria-hidden>{initialsOf(person)}</Avatar>
    </Indicator>
  )
}
