import type { PageEntry } from "../page"

export default { path: "notifications", title: "Notifications", load: () => import("./Notifications") } satisfies PageEntry
