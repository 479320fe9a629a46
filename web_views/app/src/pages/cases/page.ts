import type { PageEntry } from "../page"

export default [
  { path: "cases/new", title: "New case", load: () => import("./NewCase") },
  { path: "cases/:id", title: "Case", load: () => import("./CasePage") },
] satisfies PageEntry[]
