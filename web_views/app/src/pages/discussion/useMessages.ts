import type { Communication } from "fhir/r4"
import { useMemo } from "react"
import { ofType } from "../../fhir/bundle"
import { SYSTEM } from "../../fhir/codes"
import { usePages } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { readsOf } from "./reading"

const KINDS = [`${SYSTEM.message}|discussion`, `${SYSTEM.message}|chat`]

/** What was said about an encounter, oldest first, as far back as pages were asked for; with answers and receipts. */
export function useMessages(encounter: string) {
  const pages = usePages<Communication>("Communication", {
    encounter,
    category: KINDS,
    _sort: "-sent",
    _count: 30,
    _include: "Communication:in-response-to",
    _revinclude: "Communication:in-response-to",
  })
  useTopic("discussion")
  return useMemo(() => {
    const all = pages.bundles.flatMap((bundle) => ofType(bundle, "Communication"))
    const messages = [...new Map(pages.resources.map((one) => [one.id, one])).values()].reverse()
    return { pages, messages, known: new Map(all.map((one) => [one.id ?? "", one])), reads: readsOf(all) }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the rest of `pages` is made anew each time
  }, [pages.data, pages.error, pages.isFetching])
}
