import type { PageEntry } from "./page"

const found = import.meta.glob<{ default: PageEntry | PageEntry[] }>("./*/page.ts", { eager: true })

export const PAGES: PageEntry[] = Object.values(found).flatMap((module) => module.default)
export const MENU = PAGES.filter((page) => page.menu !== undefined).sort(
  (one, other) => (one.menu?.order ?? 0) - (other.menu?.order ?? 0),
)
