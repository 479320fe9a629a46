// Keys: made here, the public half published on the person's own resource, which only they may do.

import { calculateJwkThumbprint, type JWK } from "jose"
import { ask, Refused, type Extension, type Resource, type Server } from "./fhir"
import type { OwnKey, Shelf } from "./shelf"

export const ENCRYPTION_KEY = "http://fhir-server.example/ig/StructureDefinition/encryption-key"
const CURVE = { name: "ECDH", namedCurve: "P-256" }
const TRIES = 5

/** A key that somebody has published. */
export interface PublicKey {
  person: string
  kid: string
  jwk: JWK
  ended: boolean
}

/** Make a key pair and keep it; the private half is made so that it cannot be exported. */
export async function makeKey(shelf: Shelf, person: string): Promise<OwnKey> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"])
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey)
  const jwk = { kty, crv, x, y } as JWK
  const key = { kid: await calculateJwkThumbprint(jwk), person, privateKey, jwk, created: new Date().toISOString() }
  await shelf.keep(key)
  return key
}

/** Add the public half to the person's resource; what is there already stays. */
export async function publishKey(server: Server, { kid, person, jwk, created }: OwnKey): Promise<void> {
  const extension = {
    url: ENCRYPTION_KEY,
    extension: [
      { url: "kid", valueString: kid },
      { url: "jwk", valueString: JSON.stringify(jwk) },
      { url: "created", valueDateTime: created },
    ],
  }
  await change(server, person, (found) => {
    if (published(found).some((one) => part(one, "kid")?.valueString === kid)) return []
    return found.extension
      ? [{ op: "add", path: "/extension/-", value: extension }]
      : [{ op: "add", path: "/extension", value: [extension] }]
  })
}

/** Say that nothing new is to be encrypted to a key; what was before can still be opened with it. */
export async function endKey(server: Server, person: string, kid: string): Promise<void> {
  await change(server, person, (found) => {
    const place = (found.extension ?? []).findIndex(
      (one) => one.url === ENCRYPTION_KEY && part(one, "kid")?.valueString === kid && !part(one, "ended"),
    )
    const ended = { url: "ended", valueDateTime: new Date().toISOString() }
    return place < 0 ? [] : [{ op: "add", path: `/extension/${place}/extension/-`, value: ended }]
  })
}

/** A new key in place of this browser's others, which end: what was encrypted to them can still be opened here. */
export async function rotateKey(server: Server, shelf: Shelf, person: string): Promise<OwnKey> {
  const old = (await shelf.keys()).filter((one) => one.person === person)
  const key = await makeKey(shelf, person)
  await publishKey(server, key)
  for (const one of old) await endKey(server, person, one.kid)
  return key
}

/** The keys that a person has published, but for what does not bear its own thumbprint. */
export async function keysOf(server: Server, person: string): Promise<PublicKey[]> {
  const keys: PublicKey[] = []
  for (const one of published(await ask(server, "GET", person))) {
    const { kty, crv, x, y } = JSON.parse(part(one, "jwk")?.valueString ?? "{}") as JWK
    const jwk = { kty, crv, x, y } as JWK
    const kid = part(one, "kid")?.valueString ?? ""
    if (kty === "EC" && crv === "P-256" && kid === (await calculateJwkThumbprint(jwk)))
      keys.push({ person, kid, jwk, ended: part(one, "ended") !== undefined })
  }
  return keys
}

async function change(server: Server, person: string, edit: (found: Resource) => unknown[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    const found = await ask(server, "GET", person)
    const patch = edit(found)
    if (patch.length === 0) return
    try {
      await ask(server, "PATCH", person, patch, { "If-Match": `W/"${found.meta?.versionId}"` })
      return
    } catch (error) {
      const changedMeanwhile = error instanceof Refused && error.status === 412
      if (!changedMeanwhile || tries === TRIES) throw error
    }
  }
}

function published(person: Resource): Extension[] {
  return (person.extension ?? []).filter((one) => one.url === ENCRYPTION_KEY)
}

function part(key: Extension, url: string): Extension | undefined {
  return key.extension?.find((one) => one.url === url)
}
