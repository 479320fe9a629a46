import { IconClipboardList } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default {
  path: "worklist",
  title: "Worklist",
  load: () => import("./Worklist"),
  menu: { label: "Worklist", icon: IconClipboardList, order: 10 },
} satisfies PageEntry
