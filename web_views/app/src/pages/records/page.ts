import { IconShare } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default [
  {
    path: "records",
    title: "Shared with me",
    load: () => import("./SharedWithMe"),
    menu: { label: "Shared with me", icon: IconShare, order: 35 },
  },
  { path: "records/:id", title: "Record", load: () => import("./Record") },
] satisfies PageEntry[]
