import type { HumanName, Patient, Practitioner } from "fhir/r4"

/** A person's name as they would be addressed; the official one where there are several. */
export function nameOf(person: { name?: HumanName[] } | undefined): string {
  const names = person?.name ?? []
  const chosen = names.find((name) => name.use === "official") ?? names.find((name) => name.use !== "old") ?? names[0]
  return chosen === undefined ? "Without a name" : nameText(chosen)
}

export function nameText(name: HumanName): string {
  const parts = [...(name.prefix ?? []), ...(name.given ?? []), name.family, ...(name.suffix ?? [])]
  return name.text ?? parts.filter((part) => part !== undefined && part !== "").join(" ")
}

/** Up to two letters for a person's sign. */
export function initialsOf(person: Patient | Practitioner | undefined): string {
  const words = nameOf(person).split(" ").filter((word) => /^\p{L}/u.test(word) && !word.endsWith("."))
  return [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => word?.[0] ?? "").join("").toUpperCase()
}
