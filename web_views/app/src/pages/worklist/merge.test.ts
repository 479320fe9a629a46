import type { Bundle as Of, BundleEntry, FhirResource } from "fhir/r4"
import { describe, expect, it } from "vitest"
import { merged } from "./merge"

type Bundle = Of<FhirResource>
type Entry = BundleEntry<FhirResource>

const entry = (id: string, status: "planned" | "finished" = "planned"): Entry => ({
  resource: { resourceType: "Encounter", id, status, class: { code: "VR" } },
  search: { mode: "match" },
})
const patient: Entry = { resource: { resourceType: "Patient", id: "p" }, search: { mode: "include" } }
const page = (entries: Entry[], next = false): Bundle => ({
  resourceType: "Bundle", type: "searchset", total: 3, entry: entries, link: next ? [{ relation: "next", url: "x" }] : [],
})
const ids = (pages: Bundle[]) => pages.map((one) => (one.entry ?? []).map(({ resource }) => resource?.id))

describe("a change in a long list", () => {
  const pages = [page([entry("a"), entry("b"), patient], true), page([entry("c")])]
  it("is put where the case stands", () => {
    const now = merged(pages, ["b"], page([entry("b", "finished"), patient]), false)
    expect(now[0]?.entry?.[1]).toEqual(entry("b", "finished"))
    expect(ids(now)).toEqual([["a", "b", "p"], ["c"]])
    expect(now[1]).toBe(pages[1])
  })
  it("takes out what fits no more", () => {
    const now = merged(pages, ["a", "unknown"], page([]), false)
    expect(ids(now)).toEqual([["b", "p"], ["c"]])
    expect(now[0]?.total).toBe(2)
  })
  it("puts in what is new: on top, or at the end", () => {
    expect(ids(merged(pages, ["n"], page([entry("n")]), true))).toEqual([["n", "a", "b", "p"], ["c"]])
    expect(ids(merged(pages, ["n"], page([entry("n")]), false))).toEqual([["a", "b", "p"], ["c", "n"]])
  })
  it("leaves what comes later to its page, and counts it", () => {
    const now = merged([page([entry("a")], true)], ["n"], page([entry("n")]), false)
    expect(ids(now)).toEqual([["a"]])
    expect(now[0]?.total).toBe(4)
  })
})
