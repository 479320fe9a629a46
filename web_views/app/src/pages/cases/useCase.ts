import type { Encounter } from "fhir/r4"
import { useMutation } from "@tanstack/react-query"
import { matches } from "../../fhir/bundle"
import { useRefresh, useSearch } from "../../fhir/hooks"
import { FhirError } from "../../fhir/outcome"
import type { FhirServer, PatchStep } from "../../fhir/server"
import { useMe } from "../../session/session"
import { added, workersOf } from "./case"

/** A case with all that it refers to: who works on it, symptoms, diagnoses. One request for the page. */
export function useCase(id: string) {
  const asked = useSearch("Encounter", { _id: id, _include: "Encounter:*" })
  const found = matches(asked.data).find((one) => one.resourceType === "Encounter" && one.id === id)
  return { ...asked, encounter: found as Encounter | undefined, among: asked.data }
}

/** A change of the case: waits until it is shown as well; after a refusal the present state is. */
export function useChange(of: Encounter) {
  const { server } = useMe()
  const refresh = useRefresh()
  return useMutation({
    mutationFn: (change: (server: FhirServer) => Promise<unknown>) => change(server),
    onSettled: () => refresh(`Encounter/${of.id ?? ""}`, "CareTeam", "Condition", "Observation", "CarePlan"),
  })
}

/** A patch of the case as it was seen: 412 when somebody else was faster. */
export const patched = (of: Encounter, steps: PatchStep[]) => (server: FhirServer) =>
  server.patch<Encounter>(`Encounter/${of.id ?? ""}`, steps, of.meta?.versionId)

/**
 * Put a reference into a list of the case, once, whatever others change meanwhile.
 * Nothing was decided by what one saw, so after 412 it goes on with the present state.
 */
export async function attached(
  server: FhirServer,
  of: Encounter,
  list: "diagnosis" | "reasonReference",
  reference: string,
  value: unknown,
): Promise<void> {
  let now = of
  for (let tries = 0; tries < 5; tries++) {
    const there = [...(now.diagnosis ?? []).map(({ condition }) => condition), ...(now.reasonReference ?? [])]
    if (there.some((one) => one.reference === reference)) return
    try {
      await patched(now, [added(now, list, value)])(server)
      return
    } catch (error) {
      if (!(error instanceof FhirError && error.status === 412)) throw error
      now = await server.read<Encounter>(`Encounter/${of.id ?? ""}`)
    }
  }
  throw new FhirError(412)
}

/** Whether one works on the case: by name, by a role, or as a member of its team; everybody may while nobody does. */
export function useMyPart(of: Encounter): { free: boolean; works: boolean } {
  const { user, roles } = useMe()
  const workers = workersOf(of).map(({ key }) => key)
  const named = [user, ...roles].some((one) => workers.includes(one))
  const team = useSearch(
    "CareTeam",
    { encounter: `Encounter/${of.id ?? ""}`, participant: [user, ...roles], status: "active", _summary: "count" },
    !named && workers.length > 0,
  )
  return { free: workers.length === 0, works: named || workers.length === 0 || (team.data?.total ?? 0) > 0 }
}
