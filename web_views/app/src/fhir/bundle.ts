import type { Bundle, FhirResource, Reference } from "fhir/r4"

/** "Practitioner/7": a reference's type and id, without base and version; undefined for what points elsewhere. */
export function keyOf(reference: Reference | string | undefined): string | undefined {
  const text = typeof reference === "string" ? reference : reference?.reference
  return /([A-Z][A-Za-z]+\/[A-Za-z0-9.-]{1,64})(?:\/_history\/[^/]+)?$/.exec(text ?? "")?.[1]
}

export const idOf = (reference: Reference | string | undefined) => keyOf(reference)?.split("/")[1]
export const referenceTo = (resource: FhirResource) => `${resource.resourceType}/${resource.id ?? ""}`

/** What a search matched, without what it included. */
export function matches<R extends FhirResource>(bundle: Bundle<R> | undefined): R[] {
  const entries = bundle?.entry ?? []
  return entries.flatMap((entry) => (entry.resource && (entry.search?.mode ?? "match") === "match" ? [entry.resource] : []))
}

type OfType<T extends FhirResource["resourceType"]> = Extract<FhirResource, { resourceType: T }>

/** Every resource of a type in a Bundle, matched or included. */
export function ofType<T extends FhirResource["resourceType"]>(bundle: Bundle | undefined, type: T): OfType<T>[] {
  return (bundle?.entry ?? []).flatMap(({ resource }) => (resource?.resourceType === type ? [resource as OfType<T>] : []))
}

/** The resource of a Bundle that a reference points at. */
export function resolved<T extends FhirResource["resourceType"]>(
  bundle: Bundle | undefined,
  type: T,
  reference: Reference | undefined,
): OfType<T> | undefined {
  const key = keyOf(reference)
  return ofType(bundle, type).find((one) => referenceTo(one) === key)
}

export const linkOf = (bundle: Bundle | undefined, relation: string) =>
  bundle?.link?.find((link) => link.relation === relation)?.url
