import { lazy } from "react"
import type { CaseSection } from "../cases/section"

export default {
  title: "Discussion",
  order: 10,
  Component: lazy(() => import("./Discussion")),
} satisfies CaseSection
