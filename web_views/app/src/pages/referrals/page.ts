import { IconArrowsExchange } from "@tabler/icons-react"
import type { PageEntry } from "../page"

export default [
  {
    path: "referrals",
    title: "Referrals",
    load: () => import("./Referrals"),
    menu: { label: "Referrals", icon: IconArrowsExchange, order: 30 },
  },
  { path: "referrals/:id", title: "Referral", load: () => import("./Referral") },
] satisfies PageEntry[]
