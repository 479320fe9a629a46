// What is asked of the server: JSON over HTTP with the token of who is signed in.

/** Base URL of the FHIR API, and an access token. */
export interface Server {
  base: string
  token: string
}

export interface Extension {
  url: string
  extension?: Extension[]
  valueString?: string
  valueDateTime?: string
}

export interface Resource {
  resourceType: string
  id?: string
  meta?: { versionId?: string }
  extension?: Extension[]
  data?: string
}

export interface Attachment {
  contentType: string
  data?: string
  url?: string
}

/** The server did not do what it was asked; `status` is that of HTTP. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

/** The resource that the server answers with. */
export async function ask(
  server: Server,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Resource> {
  const kind = method === "PATCH" ? "application/json-patch+json" : "application/fhir+json"
  const answer = await fetch(`${server.base}/${path}`, {
    method,
    headers: {
      Accept: "application/fhir+json",
      Authorization: `Bearer ${server.token}`,
      ...(body === undefined ? {} : { "Content-Type": kind }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Refused(answer.status, `${method} ${path}: ${answer.status}`)
  return (await answer.json()) as Resource
}
