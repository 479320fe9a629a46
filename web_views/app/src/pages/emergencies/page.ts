import { IconUrgent } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default [
  {
    path: "emergencies",
    title: "Emergencies",
    load: () => import("./Board"),
    menu: { label: "Emergencies", icon: IconUrgent, order: 40 },
  },
  { path: "emergencies/:id", title: "Emergency", load: () => import("./Details") },
] satisfies PageEntry[]
