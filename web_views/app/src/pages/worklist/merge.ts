/** A change of a few cases put into the pages that are shown, so that a long list is not asked for again. */

import type { Bundle, BundleEntry, FhirResource } from "fhir/r4"

type Pages = Bundle<FhirResource>[]
type Entry = BundleEntry<FhirResource>

const isMatch = (entry: Entry) => entry.search?.mode !== "include"
const idOf = (entry: Entry) => entry.resource?.id ?? ""

/**
 * The pages with what was `found` of the `changed` ids: replaced where it stands, taken out when it is found no more,
 * and put in where it belongs when it is new: `first` on top, else at the end, unless there are pages to come.
 */
export function merged(pages: Pages, changed: string[], found: Bundle<FhirResource>, first: boolean): Pages {
  const entries = found.entry ?? []
  const now = new Map(entries.filter(isMatch).map((entry) => [idOf(entry), entry]))
  const shown = new Set(pages.flatMap((page) => (page.entry ?? []).filter(isMatch).map(idOf)))
  const fresh = [...now.values()].filter((entry) => !shown.has(idOf(entry)))
  const gone = changed.filter((id) => shown.has(id) && !now.has(id))
  const included = entries.filter((entry) => !isMatch(entry))
  const complete = !(pages.at(-1)?.link ?? []).some(({ relation }) => relation === "next")
  return pages.map((page, place) => {
    const here = fresh.length > 0 && (first ? place === 0 : complete && place === pages.length - 1)
    const counted = place === 0 && page.total !== undefined ? { ...page, total: page.total + fresh.length - gone.length } : page
    const before = page.entry ?? []
    if (!here && !before.some((entry) => isMatch(entry) && changed.includes(idOf(entry)))) return counted
    const kept = before
      .filter((entry) => (isMatch(entry) ? !gone.includes(idOf(entry)) : !included.some((one) => idOf(one) === idOf(entry))))
      .map((entry) => (isMatch(entry) ? (now.get(idOf(entry)) ?? entry) : entry))
    const all = here ? (first ? [...fresh, ...kept] : [...kept, ...fresh]) : kept
    return { ...counted, entry: [...all, ...included] }
  })
}
