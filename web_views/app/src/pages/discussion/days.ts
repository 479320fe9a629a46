import { dateText } from "../../words/dates"
import { dayOf } from "./timeline"

const WORDS = new Intl.RelativeTimeFormat([...navigator.languages], { numeric: "auto" })
const capital = (text: string) => text.charAt(0).toLocaleUpperCase() + text.slice(1)

/** "Today", "Yesterday", and before that the date. */
export function dayText(at: string, now: Date = new Date()): string {
  for (const ago of [0, 1]) {
    const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() - ago)
    if (dayOf(day.toISOString()) === dayOf(at)) return capital(WORDS.format(-ago, "day"))
  }
  return dateText(at)
}
