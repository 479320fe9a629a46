import type { Endpoint } from "fhir/r4"
import { matches } from "../../fhir/bundle"
import { SYSTEM } from "../../fhir/codes"
import type { FhirServer } from "../../fhir/server"

/**
 * Servers that help browsers find a way to each other: none, unless the clinic has an active Endpoint of the
 * connection type meeting-provider "built-in" whose address is one ("stun:stun.clinic.example:3478").
 */
export async function iceServers(server: FhirServer): Promise<RTCIceServer[]> {
  const query = { "connection-type": `${SYSTEM.meeting}|built-in`, status: "active" }
  const found = await server.search<Endpoint>("Endpoint", query).catch(() => undefined)
  const urls = matches(found).map(({ address }) => address).filter((address) => /^(stun|turn)s?:/.test(address))
  return urls.map((url) => ({ urls: url }))
}
