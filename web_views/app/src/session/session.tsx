import type { Practitioner } from "fhir/r4"
import { createContext, useContext, type ReactNode } from "react"
import type { Session } from "./sign-in"

/** The session and the person's own resource, which every page may count on. */
export type Me = Session & { person: Practitioner; roles: string[] }

const Context = createContext<Me | undefined>(undefined)

export function SessionProvider({ me, children }: { me: Me; children: ReactNode }) {
  return <Context value={me}>{children}</Context>
}

/** Who is signed in: `server` to ask, `user` ("Practitioner/7"), `roles` (their PractitionerRoles' references). */
export function useMe(): Me {
  const me = useContext(Context)
  if (me === undefined) throw new Error("Outside of the session.")
  return me
}
