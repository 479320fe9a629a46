import type { PageEntry } from "../page"

export default {
  path: "consultations/:id",
  title: "Call",
  load: () => import("./Consultation"),
} satisfies PageEntry
