// A backend service made with fhir-kit-client, which leaves the token to its user: jose signs the assertion.
import { randomUUID } from 'node:crypto'
import { Client } from 'fhir-kit-client'
import { importJWK, SignJWT } from 'jose'
import { journey } from './journey.mjs'

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
let fhir, tokenUrl

await journey({
  async discover({ baseUrl }) {
    fhir = new Client({ baseUrl })
    const found = await fhir.smartAuthMetadata()
    tokenUrl = found.tokenUrl.href
    return { authorizeUrl: found.authorizeUrl.href, tokenUrl }
  },
  async sign_in({ client_id, jwk, scope }) {
    const assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: jwk.alg, kid: jwk.kid, typ: 'JWT' })
      .setIssuer(client_id)
      .setSubject(client_id)
      .setAudience(tokenUrl)
      .setExpirationTime('4m')
      .sign(await importJWK(jwk, jwk.alg))
    const form = { grant_type: 'client_credentials', scope, client_assertion_type: ASSERTION, client_assertion: assertion }
    const response = await fetch(tokenUrl, { method: 'POST', body: new URLSearchParams(form) })
    const answer = await response.json()
    if (response.ok) fhir.bearerToken = answer.access_token
    return { status: response.status, ...answer }
  },
  read: (what) => fhir.read(what),
  search: (what) => fhir.resourceSearch(what),
  create: (what) => fhir.create(what),
  update: (what) => fhir.update(what),
  transaction: (what) => fhir.transaction(what),
  // Every page of a search, followed by its next links.
  async pages({ resourceType, searchParams }) {
    const found = []
    for (let page = await fhir.resourceSearch({ resourceType, searchParams }); page; page = await fhir.nextPage({ bundle: page }))
      found.push((page.entry ?? []).map((entry) => entry.resource.id))
    return found
  },
})
