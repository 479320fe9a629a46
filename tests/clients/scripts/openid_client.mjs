// An OpenID relying party made with openid-client; it proves who it is with private_key_jwt.
import { importJWK } from 'jose'
import * as openid from 'openid-client'
import { journey } from './journey.mjs'

let party, tokens, verifier, nonce, state

await journey({
  // Read the server's metadata and take the key's algorithm for the assertions to come. They are for the token endpoint,
  // as SMART has it, or with `plain` for the issuer, as the library has it by itself.
  async discover({ issuer, client_id, jwk, plain = false }) {
    const { kid, alg } = jwk
    const key = await importJWK(jwk, alg)
    const settings = { id_token_signed_response_alg: 'RS256' }
    const options = { execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks], timeout: 60 }
    const smart = { [openid.modifyAssertion]: (_, claims) => (claims.aud = party.serverMetadata().token_endpoint) }
    const method = openid.PrivateKeyJwt({ key, kid }, plain ? undefined : smart)
    party = await openid.discovery(new URL(issuer), client_id, settings, method, options)
    return { ...party.serverMetadata(), pkce: party.serverMetadata().supportsPKCE() }
  },
  async begin({ redirect_uri, scope, aud }) {
    verifier = openid.randomPKCECodeVerifier()
    nonce = openid.randomNonce()
    state = openid.randomState()
    const code_challenge = await openid.calculatePKCECodeChallenge(verifier)
    const asked = { redirect_uri, scope, aud, nonce, state, code_challenge, code_challenge_method: 'S256' }
    return openid.buildAuthorizationUrl(party, asked).href
  },
  // The id_token's signature, issuer, audience, times and nonce are checked by the library.
  async finish({ url }) {
    const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true }
    tokens = await openid.authorizationCodeGrant(party, new URL(url), checks)
    return { ...tokens, claims: tokens.claims() }
  },
  async refresh({ scope, refresh_token = tokens.refresh_token }) {
    tokens = await openid.refreshTokenGrant(party, refresh_token, scope ? { scope } : undefined)
    return { ...tokens }
  },
  async credentials({ scope }) {
    tokens = await openid.clientCredentialsGrant(party, { scope })
    return { ...tokens }
  },
  async read({ url, access_token = tokens.access_token }) {
    const headers = new Headers({ accept: 'application/fhir+json' })
    try {
      const response = await openid.fetchProtectedResource(party, access_token, new URL(url), 'GET', null, headers)
      return { status: response.status, body: await response.json() }
    } catch (error) {
      // A WWW-Authenticate header is an exception for the library.
      if (!error.response && !error.status) throw error
      return { status: error.status ?? error.response.status, challenges: error.cause }
    }
  },
  async userinfo({ subject }) {
    return openid.fetchUserInfo(party, tokens.access_token, subject)
  },
  async introspect({ token = tokens.access_token }) {
    return openid.tokenIntrospection(party, token)
  },
  async revoke({ token = tokens.access_token }) {
    return openid.tokenRevocation(party, token)
  },
})
