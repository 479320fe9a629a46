import { keyOf } from "../../fhir/bundle"
import { isActive, partOf, sinceOf, type Emergency } from "./emergency"

const OLD_MS = 10 * 60_000

/** What somebody who comes here for the first time need not be alarmed by: the count tells of it. */
export const oldOnes = (all: Emergency[], now: number): string[] =>
  all.filter(({ flag }) => now - Date.parse(sinceOf(flag)) > OLD_MS).flatMap(({ flag }) => flag.id ?? [])

/** Those to alarm somebody of: active, not their own, not answered by them, not seen. */
export const freshOnes = (all: Emergency[], seen: readonly string[], user: string): Emergency[] =>
  all.filter((one) =>
    isActive(one) && !seen.includes(one.flag.id ?? "") &&
    keyOf(one.flag.author) !== user && partOf(one, user) === undefined)
