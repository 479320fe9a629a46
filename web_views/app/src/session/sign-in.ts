/** Signing in as any SMART app does: https://hl7.org/fhir/smart-app-launch/app-launch.html, by fhirclient. */

import FHIR from "fhirclient"
import type Client from "fhirclient/lib/Client"
import { SignedOut } from "../fhir/outcome"
import { FhirServer } from "../fhir/server"

export const BASE = `${location.origin}/fhir`
const CLIENT = "fhir-server-views"
const SCOPE = "openid fhirUser online_access user/*.cruds"
const WANTED = "wanted-page" // where to go after signing in, as it was left

/** Who is signed in, and the server with their rights. */
export type Session = {
  server: FhirServer
  /** "Practitioner/7" */
  user: string
  token: (renew?: boolean) => Promise<string>
}

const asked = new URLSearchParams(location.search)
const isReturning = asked.has("code") && asked.has("state")

/** Whether this tab has been at the sign-in page: it is in, or has been refused. */
export const isBack = (): boolean => isReturning || asked.has("error") || sessionStorage.getItem("SMART_KEY") !== null

/** The address that was asked for, before the sign-in or now: "/app/cases/1". */
export const wantedPage = (): string => (isReturning ? sessionStorage.getItem(WANTED) : null) ?? location.pathname

/** Leave for the sign-in page; the present page is come back to. */
export async function signIn(): Promise<never> {
  sessionStorage.setItem(WANTED, location.pathname + location.search)
  await FHIR.oauth2.authorize({ clientId: CLIENT, scope: SCOPE, iss: BASE, redirectUri: `${location.origin}/app/` })
  return new Promise<never>(() => undefined) // the browser is on its way
}

/** The session of this tab, if there is one; leaves for the sign-in page otherwise. */
export async function session(): Promise<Session> {
  if (asked.has("error")) throw new Error(asked.get("error_description") ?? "The sign-in was refused.")
  if (!isBack()) return signIn()
  const client = await FHIR.oauth2.ready().catch(() => undefined)
  const user = client?.getFhirUser()
  if (client === undefined || !user) return signIn()
  if (isReturning) history.replaceState(null, "", sessionStorage.getItem(WANTED) ?? "/app/")
  const token = tokens(client)
  return { server: new FhirServer(BASE, token), user: user.split("/").slice(-2).join("/"), token }
}

/** End this tab's session, and go where all of the browser's can be ended. */
export function signOut(): void {
  sessionStorage.clear()
  location.assign("/auth/logout")
}

function tokens(client: Client) {
  let renewing: Promise<unknown> | undefined
  return async (renew = false): Promise<string> => {
    if (renew || expiresSoon(client)) {
      renewing ??= client.refresh().finally(() => (renewing = undefined))
      await renewing.catch((error: unknown) => {
        if (!navigator.onLine || error instanceof TypeError) return // the old one is tried, and fails as offline
        throw new SignedOut()
      })
    }
    const token = client.state.tokenResponse?.access_token
    if (token === undefined) throw new SignedOut()
    return token
  }
}

function expiresSoon(client: Client): boolean {
  return client.state.expiresAt !== undefined && client.state.expiresAt - 30 < Date.now() / 1000
}
