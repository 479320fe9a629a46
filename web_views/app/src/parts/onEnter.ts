import type { KeyboardEvent } from "react"

/** Enter in a search box with no option chosen by the arrow keys takes the first, and never sends the form around it. */
export const onEnter = (first: (() => void) | undefined) => (event: KeyboardEvent<HTMLInputElement>) => {
  if (event.key !== "Enter" || event.currentTarget.getAttribute("aria-activedescendant")) return
  event.preventDefault()
  first?.()
}
