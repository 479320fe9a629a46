import type { Bundle, FhirResource, Parameters, Resource } from "fhir/r4"
import { FhirError, Offline, outcomeOf, SignedOut } from "./outcome"

/** Gives the access token of the moment; `renew` asks for a fresh one. Raises SignedOut. */
export type Tokens = (renew?: boolean) => Promise<string>

export type PatchStep = { op: "add" | "replace" | "test"; path: string; value: unknown } | { op: "remove"; path: string }

type Sent = { body?: BodyInit; type?: string; headers?: Record<string, string>; signal?: AbortSignal }

/** The FHIR server, as its REST API is: every method is one interaction of https://hl7.org/fhir/R4/http.html */
export class FhirServer {
  constructor(
    readonly base: string,
    private readonly token: Tokens,
  ) {}

  /** A path below the base ("Patient/1") or a whole address of this server ("next" links). */
  async fetch(method: string, path: string, sent: Sent = {}): Promise<Response> {
    const answer = await this.send(method, path, sent)
    return answer.status === 401 ? this.send(method, path, sent, true) : answer
  }

  private async send(method: string, path: string, sent: Sent, renew = false): Promise<Response> {
    const token = await this.token(renew)
    const headers: Record<string, string> = { Accept: "application/fhir+json", Authorization: `Bearer ${token}` }
    if (sent.type !== undefined) headers["Content-Type"] = sent.type
    try {
      return await fetch(this.address(path), {
        method,
        headers: { ...headers, ...sent.headers },
        body: sent.body,
        signal: sent.signal,
        cache: "no-store",
      })
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error
      throw new Offline()
    }
  }

  private address(path: string): string {
    if (path === "") return this.base
    const whole = new URL(path, `${this.base}/`)
    if (!whole.href.startsWith(`${this.base}/`)) throw new Error("This address is not the server's.")
    return whole.href
  }

  private async json<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    const answer = await this.fetch(method, path, sent)
    if (answer.status === 401) throw new SignedOut()
    const text = await answer.text()
    if (!answer.ok) throw new FhirError(answer.status, outcomeOf(text))
    return (text === "" ? {} : JSON.parse(text)) as T
  }

  read<R extends Resource>(reference: string, signal?: AbortSignal): Promise<R> {
    return this.json<R>("GET", reference, { signal })
  }

  /** "Encounter", {status: "planned", _count: 20} — or a whole "next" link. Lists are joined by commas (any of). */
  search<R extends FhirResource = FhirResource>(
    path: string,
    query: Query = {},
    signal?: AbortSignal,
  ): Promise<Bundle<R>> {
    return this.json<Bundle<R>>("GET", path + queryOf(query), { signal })
  }

  /** With `ifNoneExist` (a search: "identifier=…") a repeated call makes nothing twice. */
  create<R extends FhirResource>(resource: R, ifNoneExist?: string): Promise<R> {
    const headers: Record<string, string> = ifNoneExist === undefined ? {} : { "If-None-Exist": ifNoneExist }
    return this.json<R>("POST", resource.resourceType, { ...fhirJson(resource), headers })
  }

  /** A whole new version; `If-Match` when the resource says which version it was read in. */
  update<R extends FhirResource>(resource: R): Promise<R> {
    return this.json<R>("PUT", `${resource.resourceType}/${resource.id ?? ""}`, {
      ...fhirJson(resource),
      headers: ifMatch(resource.meta?.versionId),
    })
  }

  patch<R extends FhirResource>(reference: string, steps: PatchStep[], version?: string): Promise<R> {
    const sent = { body: JSON.stringify(steps), type: "application/json-patch+json", headers: ifMatch(version) }
    return this.json<R>("PATCH", reference, sent)
  }

  async remove(reference: string): Promise<void> {
    await this.json("DELETE", reference)
  }

  transaction(entry: Bundle["entry"]): Promise<Bundle> {
    return this.json<Bundle>("POST", "", fhirJson({ resourceType: "Bundle", type: "transaction", entry }))
  }

  operation<R extends Resource>(path: string, parameter: Parameters["parameter"] = []): Promise<R> {
    const given = parameter.length > 0 ? { parameter } : {} // FHIR knows no empty list
    return this.json<R>("POST", path, fhirJson({ resourceType: "Parameters", ...given }))
  }

  /** The bytes of a Binary, as they were stored. */
  async bytes(reference: string, signal?: AbortSignal): Promise<Blob> {
    const answer = await this.fetch("GET", reference, { headers: { Accept: "*/*" }, signal })
    if (!answer.ok) throw new FhirError(answer.status, outcomeOf(await answer.text()))
    return answer.blob()
  }

  /** Store bytes as a Binary that is as open as `context` ("Encounter/1"); its reference. */
  async upload(file: Blob, context: string): Promise<string> {
    const type = file.type === "" ? "application/octet-stream" : file.type
    const headers = { "X-Security-Context": context, Prefer: "return=minimal" }
    const answer = await this.fetch("POST", "Binary", { body: file, type, headers })
    if (!answer.ok) throw new FhirError(answer.status, outcomeOf(await answer.text()))
    const found = /Binary\/[A-Za-z0-9.-]+/.exec(answer.headers.get("Location") ?? "")
    if (found === null) throw new FhirError(answer.status)
    return found[0]
  }
}

export type Query = Record<string, string | number | string[] | undefined>

/** "?status=planned,triaged&_count=20"; what is undefined or empty is left out. Several includes are several parameters. */
export function queryOf(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "" && !isEmpty(value))
  const pairs = given.flatMap(([name, value]) =>
    Array.isArray(value) && /^_(rev)?include/.test(name)
      ? value.map((one) => [name, one])
      : [[name, Array.isArray(value) ? value.join(",") : String(value)]])
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`
}

const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0
const ifMatch = (version?: string): Record<string, string> => (version === undefined ? {} : { "If-Match": `W/"${version}"` })
const fhirJson = (resource: FhirResource) => ({ body: JSON.stringify(resource), type: "application/fhir+json" })
