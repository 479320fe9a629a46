/** A message as a Communication: made, and read. docs/workflows/discussions.md */

import type { Communication, CommunicationPayload, Encounter } from "fhir/r4"
import { idOf, keyOf, referenceTo } from "../../fhir/bundle"
import { codeIn, concept, hasLabel, SYSTEM } from "../../fhir/codes"
import type { KeptFile } from "../../drafts/outbox"

export type Audience = "team" | "patient"

const URI = "urn:ietf:rfc:3986"
export const TEAM = "team-discussion"
export const urnOf = (uuid: string) => `urn:uuid:${uuid}`
export const sameOne = (uuid: string) => `${URI}|${urnOf(uuid)}`

/** What somebody writes; the server adds sender, recipients, time, and the team's label. */
export function written(uuid: string, about: Encounter, text: string, to: Audience, answered?: Communication): Communication {
  const message: Communication = {
    resourceType: "Communication",
    identifier: [{ system: URI, value: urnOf(uuid) }],
    status: "completed",
    category: [concept(SYSTEM.message, to === "patient" ? "chat" : "discussion")],
    encounter: { reference: referenceTo(about) },
  }
  if (text !== "") message.payload = [{ contentString: text }]
  if (answered === undefined) return message
  const reference = referenceTo(answered)
  return {
    ...message,
    inResponseTo: [{ reference }],
    partOf: [{ reference: keyOf(answered.partOf?.[0]) ?? reference }],
  }
}

/** The message with its files, which are stored beside it in one transaction and named by their urn. */
export const withFiles = (message: Communication, files: readonly KeptFile[]): Communication => ({
  ...message,
  payload: [...(message.payload ?? []), ...files.map(attached)],
})

const attached = ({ key, name, type, size }: KeptFile): CommunicationPayload => ({
  contentAttachment: { contentType: type, url: urnOf(key), title: name, size },
})

export const isDeleted = (message: Communication) => message.status === "entered-in-error"
export const isReceipt = (one: Communication) => codeIn(one.category, SYSTEM.message) === "receipt"
export const isEdited = (message: Communication) => (message.meta?.versionId ?? "1") !== "1" && !isDeleted(message)
export const uuidOf = (message: Communication) =>
  message.identifier?.find(({ system }) => system === URI)?.value?.replace("urn:uuid:", "")
export const saidIn = (message: Communication) =>
  (message.payload ?? []).map(({ contentString }) => contentString).filter((text) => text !== undefined).join("\n")
export const filesIn = (message: Communication) => (message.payload ?? []).flatMap(({ contentAttachment: one }) => one ?? [])
export const answeredBy = (message: Communication) => idOf(message.inResponseTo?.[0])
export const isFromPatient = (message: Communication) => /^(Patient|RelatedPerson)\//.test(keyOf(message.sender) ?? "")

/** Who sees it: what has no label is open to the patient. */
export const audienceOf = (message: Communication): Audience => (hasLabel(message, TEAM) ? "team" : "patient")

/** The payload with another text; files stay. */
export const reworded = (message: Communication, text: string): CommunicationPayload[] => [
  ...(text === "" ? [] : [{ contentString: text }]),
  ...(message.payload ?? []).filter(({ contentString }) => contentString === undefined),
]

/** Of one that the server has not seen: the label is the server's to give. */
export const audienceOfNew = (message: Communication): Audience =>
  codeIn(message.category, SYSTEM.message) === "chat" ? "patient" : "team"
