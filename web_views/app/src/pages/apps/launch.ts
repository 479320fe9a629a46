import type { Parameters } from "fhir/r4"
import type { FhirServer } from "../../fhir/server"

export type AppEntry = { client: string; name: string; logo?: string }

/** The apps of `$apps`, by name. */
export function appsOf(parameters: Parameters): AppEntry[] {
  return (parameters.parameter ?? [])
    .filter(({ name }) => name === "app")
    .map(({ part = [] }) => ({
      client: part.find(({ name }) => name === "client")?.valueString ?? "",
      name: part.find(({ name }) => name === "name")?.valueString ?? "",
      logo: part.find(({ name }) => name === "logo")?.valueUrl,
    }))
}

/**
 * The address that opens an app with a patient in context, good once and for five minutes.
 * https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
 */
export async function launch(server: FhirServer, client: string, patient?: string): Promise<string> {
  const answer = await server.operation<Parameters>("$launch-context", [
    { name: "client", valueString: client },
    ...(patient === undefined ? [] : [{ name: "patient", valueString: patient }]),
  ])
  const url = answer.parameter?.find(({ name }) => name === "url")?.valueUrl
  if (url === undefined) throw new Error("This app has no address to be opened at.")
  return url
}
