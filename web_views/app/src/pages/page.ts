import type { TablerIcon } from "@tabler/icons-react"
import type { ComponentType } from "react"

/**
 * A page, found by its file: every `pages/<name>/page.ts` exports one as default, no list names them.
 * `menu` puts it into the navigation, by `order`; without it the page is reached by links.
 */
export type PageEntry = {
  path: string // "cases/:id", below /app
  title: string
  load: () => Promise<{ default: ComponentType }>
  menu?: { label: string; icon: TablerIcon; order: number }
}
