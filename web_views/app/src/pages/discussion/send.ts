import type { Binary, BundleEntry, Communication } from "fhir/r4"
import { forgetFile, keptFile } from "../../drafts/files"
import { Unsendable, type Entry, type KeptFile } from "../../drafts/outbox"
import { matches } from "../../fhir/bundle"
import { Offline } from "../../fhir/outcome"
import type { FhirServer } from "../../fhir/server"
import { sameOne, urnOf, withFiles } from "./message"

const PATIENCE = 60_000 // for an answer: the request may still arrive, and trying again makes nothing twice

/** Bring what waits to the server: made once, however often this is called. */
export async function deliver(server: FhirServer, entry: Entry): Promise<void> {
  let timer: number | undefined
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Offline()), PATIENCE)
  })
  await Promise.race([make(server, entry), late]).finally(() => clearTimeout(timer))
  await Promise.all(entry.files.map(({ key }) => forgetFile(key))).catch(() => undefined)
}

async function make(server: FhirServer, entry: Entry): Promise<void> {
  const once = `identifier=${sameOne(entry.id)}`
  if (entry.files.length === 0) return void (await server.create(entry.resource, once))
  if (entry.tried > 0 && (await isThere(server, entry.id))) return // so that its files are not stored twice
  const message: BundleEntry<Communication> = {
    fullUrl: urnOf(entry.id),
    resource: withFiles(entry.resource, entry.files),
    request: { method: "POST", url: "Communication", ifNoneExist: once },
  }
  await server.transaction([message, ...(await Promise.all(entry.files.map((file) => stored(file, entry.id))))])
}

async function isThere(server: FhirServer, id: string): Promise<boolean> {
  return matches(await server.search<Communication>("Communication", { identifier: sameOne(id) })).length > 0
}

/** The file as a Binary that is as open as its message: what the team says among itself stays there, files too. */
async function stored(file: KeptFile, message: string): Promise<BundleEntry<Binary>> {
  const blob = await keptFile(file.key)
  if (blob === undefined) throw new Unsendable(`${file.name} is no longer in this browser.`)
  return {
    fullUrl: urnOf(file.key),
    resource: {
      resourceType: "Binary",
      contentType: file.type,
      securityContext: { reference: urnOf(message) },
      data: await base64(blob),
    },
    request: { method: "POST", url: "Binary" },
  }
}

function base64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(typeof reader.result === "string" ? (reader.result.split(",")[1] ?? "") : "")
    reader.onerror = () => reject(reader.error ?? new Error("The file cannot be read."))
    reader.readAsDataURL(blob)
  })
}
