import type { Attachment, DocumentReference, DocumentReferenceContent, Encounter } from "fhir/r4"
import { keyOf } from "../../fhir/bundle"
import { hasLabel, textOf, THUMBNAIL } from "../../fhir/codes"
import type { FhirServer } from "../../fhir/server"
import { identifierOf } from "./opening"

const isPreview = (content: DocumentReferenceContent) =>
  content.extension?.some(({ url, valueBoolean }) => url === THUMBNAIL && valueBoolean === true) ?? false

/** The file itself, and the small picture that the server made of it. */
export function filesOf(of: DocumentReference): { file?: Attachment; preview?: Attachment } {
  return {
    file: of.content.find((one) => !isPreview(one))?.attachment,
    preview: of.content.find(isPreview)?.attachment,
  }
}

export const titleOf = (of: DocumentReference) =>
  filesOf(of).file?.title ?? of.description ?? textOf(of.type) ?? "Document"
export const isSealed = (of: DocumentReference) => hasLabel(of, "end-to-end")

/** How a file can be looked at here; what could run scripts, cannot. */
export function viewOf(kind: string | undefined): "image" | "pdf" | "text" | undefined {
  const type = kind?.split(";")[0]?.trim().toLowerCase() ?? ""
  if (/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(type)) return "image"
  if (type === "application/pdf") return "pdf"
  return type === "text/plain" || type === "text/csv" ? "text" : undefined
}

/** The bytes of an attachment of this server. */
export async function bytesOf(server: FhirServer, file: Attachment, signal?: AbortSignal): Promise<Blob> {
  const type = file.contentType ?? "application/octet-stream"
  const bytes = file.data !== undefined
    ? Uint8Array.from(atob(file.data), (letter) => letter.charCodeAt(0))
    : await server.bytes(file.url ?? "", signal)
  return new Blob([bytes], { type })
}

/** What a file is, as a document of the case. */
export function documented(sent: { id: string; file: File; binary: string }, of: Encounter, by: string): DocumentReference {
  const now = new Date().toISOString()
  const contentType = sent.file.type === "" ? "application/octet-stream" : sent.file.type
  return {
    resourceType: "DocumentReference",
    identifier: [identifierOf(sent.id)],
    status: "current",
    type: { text: viewOf(contentType) === "image" ? "Photograph" : "Document" },
    subject: { reference: keyOf(of.subject) ?? "" },
    date: now,
    author: [{ reference: by }],
    content: [{ attachment: { contentType, url: sent.binary, title: sent.file.name, size: sent.file.size, creation: now } }],
    context: { encounter: [{ reference: `Encounter/${of.id ?? ""}` }] },
  }
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"]

/** "1.4 MB" in the user's locale. */
export function sizeText(bytes: number | undefined): string | undefined {
  if (bytes === undefined) return undefined
  const step = Math.min(bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3), UNITS.length - 1)
  const format = new Intl.NumberFormat([...navigator.languages], {
    style: "unit",
    unit: UNITS[step],
    unitDisplay: step === 0 ? "long" : "short",
    maximumFractionDigits: step < 2 ? 0 : 1,
  })
  return format.format(bytes / 1000 ** step)
}
