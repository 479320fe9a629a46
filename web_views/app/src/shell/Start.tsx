import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { Button, Center, Stack, Text, Title } from "@mantine/core"
import type { Practitioner, PractitionerRole } from "fhir/r4"
import { useEffect, useState } from "react"
import { BrowserRouter } from "react-router"
import { matches, referenceTo } from "../fhir/bundle"
import { FhirError, SignedOut, words } from "../fhir/outcome"
import { LiveProvider } from "../live/live"
import { SessionProvider, type Me } from "../session/session"
import { signIn, type Session } from "../session/sign-in"
import { Waiting } from "../parts/States"
import { App } from "./App"

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      retry: (count, error) => !(error instanceof FhirError && error.status < 500) && !(error instanceof SignedOut) && count < 3,
      networkMode: "always", // whether there is a connection is for the answer to say
    },
    mutations: { networkMode: "always" },
  },
})

let starting: Promise<Me> | undefined // once for the tab: a sign-in's code is good once

async function start(session: Promise<Session>): Promise<Me> {
  const found = await session
  if (!found.user.startsWith("Practitioner/")) throw new Error("These views are for those who work here.")
  const [person, roles] = await Promise.all([
    found.server.read<Practitioner>(found.user),
    found.server.search<PractitionerRole>("PractitionerRole", { practitioner: found.user, active: "true" }),
  ])
  return { ...found, person, roles: matches(roles).map(referenceTo) }
}

/** Signing in, and the app once somebody is. */
export function Start({ session }: { session: Promise<Session> }) {
  const [me, setMe] = useState<Me>()
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    starting ??= start(session)
    starting.then(setMe, (error: unknown) => setProblem(words(error)))
  }, [session])

  if (problem !== undefined)
    return (
      <Center component="main" h="100vh">
        <Stack align="center" role="alert">
          <Title order={1} size="h3">You are not signed in</Title>
          <Text>{problem}</Text>
          <Button onClick={() => void signIn()}>Sign in</Button>
        </Stack>
      </Center>
    )
  if (me === undefined) return <Waiting label="Signing in" />
  return (
    <SessionProvider me={me}>
      <QueryClientProvider client={queries}>
        <LiveProvider>
          <BrowserRouter basename="/app">
            <App />
          </BrowserRouter>
        </LiveProvider>
      </QueryClientProvider>
    </SessionProvider>
  )
}
