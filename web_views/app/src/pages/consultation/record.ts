import type { Encounter } from "fhir/r4"
import { matches, referenceTo } from "../../fhir/bundle"
import { FhirError } from "../../fhir/outcome"
import { queryOf, type FhirServer, type PatchStep } from "../../fhir/server"
import { opened, runningIn } from "./calls"

/** The call of a case that goes on, or a new one: two who press at the same moment come into the same. */
export async function callOf(server: FhirServer, of: Encounter, mine: readonly string[]): Promise<Encounter> {
  const there = matches(await server.search<Encounter>("Encounter", { ...runningIn(of), _sort: "-date", _count: 1 }))[0]
  if (there !== undefined) return there
  return server.create(opened(of, mine, new Date().toISOString()), queryOf(runningIn(of)).slice(1))
}

/** Write what follows from the call as it stands, again when somebody else was faster. */
export async function record(server: FhirServer, call: Encounter, steps: (now: Encounter) => PatchStep[]): Promise<void> {
  const reference = referenceTo(call)
  for (let tries = 0; tries < 5; tries++) {
    const now = await server.read<Encounter>(reference)
    const change = steps(now)
    if (change.length === 0) return
    try {
      await server.patch(reference, change, now.meta?.versionId)
      return
    } catch (error) {
      if (!(error instanceof FhirError && (error.status === 412 || error.status === 409))) throw error
    }
  }
  throw new FhirError(412)
}
