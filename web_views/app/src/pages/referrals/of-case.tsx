import { lazy } from "react"
import type { CaseSection } from "../cases/section"

export default { title: "Referrals", order: 30, Component: lazy(() => import("./OfCase")) } satisfies CaseSection
