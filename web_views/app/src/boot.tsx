import "@mantine/core/styles.css"
import "@mantine/notifications/styles.css"
import "./styles.css"
import { MantineProvider } from "@mantine/core"
import { Notifications } from "@mantine/notifications"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { matchPath } from "react-router"
import { PAGES } from "./pages"
import { wantedPage, type Session } from "./session/sign-in"
import { Start } from "./shell/Start"
import { theme, variables } from "./theme"

/** Show the app for whoever is signing in. */
export function boot(session: Promise<Session>): void {
  const wanted = wantedPage().split(/[?#]/)[0] ?? ""
  void PAGES.find(({ path }) => matchPath(`/app/${path}`, wanted))?.load() // while the sign-in is on its way
  const root = document.getElementById("root")
  if (root === null) return
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto">
        <Notifications position="bottom-center" />
        <Start session={session} />
      </MantineProvider>
    </StrictMode>,
  )
}
