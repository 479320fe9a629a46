// Encrypting to people: for each of their keys that has not ended, one recipient of a JWE.

import { GeneralEncrypt, importJWK } from "jose"
import type { Attachment, Server } from "./fhir"
import { keysOf, type PublicKey } from "./keys"
import type { Shelf } from "./shelf"

export const SEALED = "application/jose+json"

/** Somebody has published no key, or none that has not ended. */
export class NoKey extends Error {
  constructor(readonly person: string) {
    super(`${person} has no key to encrypt to.`)
  }
}

/** Somebody known has keys that this browser has not seen: theirs of a new browser, or another's under their name. */
export class NewKeys extends Error {
  constructor(readonly keys: PublicKey[]) {
    super(`New keys: ${keys.map((one) => `${one.person} ${one.kid}`).join(", ")}.`)
  }
}

/**
 * Encrypt text or bytes to people ("Practitioner/1"), oneself among them if it is to be read again: an Attachment.
 *
 * Whose keys are seen for the first time is believed. Later ones have to be accepted: `accept` gets them and answers
 * whether the person has confirmed their thumbprints by another way; without it NewKeys is thrown.
 */
export async function seal(
  server: Server,
  shelf: Shelf,
  content: string | Uint8Array,
  people: string[],
  accept?: (keys: PublicKey[]) => boolean | Promise<boolean>,
): Promise<Attachment> {
  const keys: PublicKey[] = []
  for (const person of new Set(people)) keys.push(...(await trusted(server, shelf, person, accept)))
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
  const jwe = new GeneralEncrypt(bytes).setProtectedHeader({ enc: "A256GCM" })
  for (const { kid, jwk } of keys)
    jwe.addRecipient(await importJWK(jwk, "ECDH-ES+A256KW")).setUnprotectedHeader({ alg: "ECDH-ES+A256KW", kid })
  return { contentType: SEALED, data: btoa(JSON.stringify(await jwe.encrypt())) }
}

async function trusted(
  server: Server,
  shelf: Shelf,
  person: string,
  accept?: (keys: PublicKey[]) => boolean | Promise<boolean>,
): Promise<PublicKey[]> {
  const published = await keysOf(server, person)
  const keys = published.filter((one) => !one.ended)
  const ended = published.filter((one) => one.ended).map((one) => one.kid)
  const own = (await shelf.keys()).map((one) => one.kid)
  // What has ended is forgotten: a stolen key that comes back to life has to be accepted like any other.
  const before = await shelf.known(person)
  const known = before?.filter((kid) => !ended.includes(kid))
  if (known !== undefined && known.length !== before?.length) await shelf.know(person, known)
  if (keys.length === 0) throw new NoKey(person)
  const fresh = keys.filter((one) => !known?.includes(one.kid) && !own.includes(one.kid))
  if (known !== undefined && fresh.length > 0 && !(await accept?.(fresh))) throw new NewKeys(fresh)
  if (known === undefined || fresh.length > 0)
    await shelf.know(person, [...new Set([...(known ?? []), ...keys.map((one) => one.kid)])])
  return keys
}
