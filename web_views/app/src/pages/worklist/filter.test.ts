import { expect, it } from "vitest"
import { addressOf, filterOf, searchOf } from "./filter"

it.each(["", "whose=all&status=planned&status=onleave&priority=EM&order=changed&find=ann"])("is the address and back: %s", (address) => {
  expect(addressOf(filterOf(new URLSearchParams(address))).toString()).toBe(address)
})

it("asks for open cases of mine, the oldest first", () => {
  expect(searchOf(filterOf(new URLSearchParams()), ["Practitioner/1"])).toMatchObject({
    participant: ["Practitioner/1"], status: ["planned", "triaged", "in-progress", "onleave"], _sort: "identifier",
  })
})

it("finds by number, or by the patient", () => {
  expect(searchOf(filterOf(new URLSearchParams("find=case-2026-00001")), [])).toMatchObject({ identifier: "CASE-2026-00001" })
  expect(searchOf(filterOf(new URLSearchParams("find=lark")), [])).toMatchObject({ _filter: 'patient.name sw "lark"' })
})
