import { expect, test } from "vitest"
import { blank, ifNoneExist, missingIn, requestOf } from "./asking"

const whom = { reference: "PractitionerRole/1", display: "Sara Test", about: "" }

test("what is needed is asked for", () => {
  expect(Object.keys(missingIn(blank()))).toEqual(["whom", "what"])
  expect(missingIn({ ...blank(), whom, what: "Echo" })).toEqual({})
})

test("the same form is the same request, and says nothing that was not typed", () => {
  const asked = { ...blank(), whom, what: " Echo ", why: " " }
  const request = requestOf(asked, "Patient/1")
  expect(ifNoneExist(asked)).toBe(`identifier=urn:ietf:rfc:3986|${request.identifier?.[0]?.value ?? ""}`)
  expect(request).toMatchObject({ code: { text: "Echo" }, priority: "routine", performer: [{ reference: "PractitionerRole/1" }] })
  expect(Object.keys(request)).not.toContain("reasonCode")
  expect(Object.keys(request)).not.toContain("encounter")
})
