// Decrypting with a key of this browser.

import { generalDecrypt, type GeneralJWE } from "jose"
import { ask, type Attachment, type Server } from "./fhir"
import type { Shelf } from "./shelf"

/** It is encrypted to none of this browser's keys. */
export class NotForMe extends Error {
  constructor() {
    super("This browser has no key that opens it.")
  }
}

/** The bytes that were encrypted; `server` is needed where the attachment names a Binary. */
export async function open(shelf: Shelf, attachment: Attachment, server?: Server): Promise<Uint8Array> {
  const jwe = JSON.parse(atob(await data(attachment, server))) as GeneralJWE
  const keys = await shelf.keys()
  for (const recipient of jwe.recipients) {
    const kid = recipient.header?.kid
    const key = keys.find((one) => one.kid === kid)
    if (key === undefined) continue
    const { plaintext } = await generalDecrypt({ ...jwe, recipients: [recipient] }, key.privateKey, {
      keyManagementAlgorithms: ["ECDH-ES+A256KW"],
      contentEncryptionAlgorithms: ["A256GCM"],
    })
    return plaintext
  }
  throw new NotForMe()
}

/** The text that was encrypted. */
export async function openText(shelf: Shelf, attachment: Attachment, server?: Server): Promise<string> {
  return new TextDecoder("utf-8", { fatal: true }).decode(await open(shelf, attachment, server))
}

async function data(attachment: Attachment, server?: Server): Promise<string> {
  if (attachment.data !== undefined) return attachment.data
  if (server === undefined || attachment.url === undefined) throw new Error("The attachment has no data.")
  const path = attachment.url.replace(`${server.base}/`, "")
  return (await ask(server, "GET", path)).data ?? ""
}
