import { lazy, Suspense, useEffect } from "react"
import { Navigate, Route, Routes, useLocation } from "react-router"
import { PAGES } from "../pages"
import { Page } from "../parts/Page"
import { Empty, Waiting } from "../parts/States"
import { Shell } from "./Shell"

const ROUTES = PAGES.map((page) => ({ ...page, Component: lazy(page.load) }))

export function App() {
  const { pathname } = useLocation()
  useEffect(() => void window.scrollTo(0, 0), [pathname]) // what it answers is no clean-up
  return (
    <Shell>
      <Suspense fallback={<Waiting />}>
        <Routes>
          <Route path="/" element={<Navigate to="/worklist" replace />} />
          {ROUTES.map(({ path, Component }) => <Route key={path} path={path} element={<Component />} />)}
          <Route path="*" element={<Page title="Nothing here"><Empty title="There is no such page">Take one of the menu.</Empty></Page>} />
        </Routes>
      </Suspense>
    </Shell>
  )
}
