import type { ComponentType } from "react"

/**
 * What stands in the top line beside the menu (the bell, the emergency button, who is online), found by its file:
 * every `pages/<name>/top.tsx` exports a component as default and its `order`.
 */
const found = import.meta.glob<{ default: ComponentType; order: number }>("../pages/*/top.tsx", { eager: true })

export const TOP = Object.values(found).sort((one, other) => one.order - other.order).map((module) => module.default)
