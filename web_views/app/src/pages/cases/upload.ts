/** Sending a file, told how far it is. `fetch` cannot say that of what it sends. */

import { FhirError, Offline, outcomeOf, SignedOut } from "../../fhir/outcome"
import type { Tokens } from "../../fhir/server"

export type Sending = { file: File; context: string; progress: (share: number) => void; signal?: AbortSignal }

/** Store a file as a Binary that is as open as `context` ("Encounter/1"); its reference. */
export async function sendBytes(base: string, token: Tokens, sending: Sending): Promise<string> {
  const first = await post(base, await token(), sending)
  const answer = first.status === 401 ? await post(base, await token(true), sending) : first
  if (answer.status === 401) throw new SignedOut()
  const stored = /Binary\/[A-Za-z0-9.-]+/.exec(answer.getResponseHeader("Location") ?? "")
  if (answer.status >= 300 || stored === null) throw new FhirError(answer.status, outcomeOf(answer.responseText))
  return stored[0]
}

function post(base: string, token: string, { file, context, progress, signal }: Sending): Promise<XMLHttpRequest> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open("POST", `${base}/Binary`)
    request.setRequestHeader("Authorization", `Bearer ${token}`)
    request.setRequestHeader("Accept", "application/fhir+json")
    request.setRequestHeader("Content-Type", file.type === "" ? "application/octet-stream" : file.type)
    request.setRequestHeader("X-Security-Context", context)
    request.setRequestHeader("Prefer", "return=minimal")
    request.upload.onprogress = ({ loaded, total }) => progress(total === 0 ? 0 : loaded / total)
    request.onload = () => resolve(request)
    request.onerror = () => reject(new Offline())
    request.onabort = () => reject(new DOMException("Stopped", "AbortError"))
    signal?.addEventListener("abort", () => request.abort())
    request.send(file)
  })
}
