import { IconUsers } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default {
  path: "team",
  title: "Team",
  load: () => import("./Team"),
  menu: { label: "Team", icon: IconUsers, order: 50 },
} satisfies PageEntry
