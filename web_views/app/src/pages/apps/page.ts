import { IconApps } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default {
  path: "apps",
  title: "Apps",
  load: () => import("./Apps"),
  menu: { label: "Apps", icon: IconApps, order: 60 },
} satisfies PageEntry
