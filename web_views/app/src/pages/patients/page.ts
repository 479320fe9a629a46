import { IconUsers } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default [
  {
    path: "patients",
    title: "Patients",
    load: () => import("./Patients"),
    menu: { label: "Patients", icon: IconUsers, order: 20 },
  },
  { path: "patients/:id", title: "Chart", load: () => import("./Chart") },
] satisfies PageEntry[]
