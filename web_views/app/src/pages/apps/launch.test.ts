import { expect, test } from "vitest"
import { appsOf } from "./launch"

test("apps as the operation tells them", () => {
  const part = [{ name: "client", valueString: "growth" }, { name: "name", valueString: "Growth chart" }]
  expect(appsOf({ resourceType: "Parameters", parameter: [{ name: "app", part }, { name: "other" }] })).toEqual([
    { client: "growth", name: "Growth chart", logo: undefined },
  ])
  expect(appsOf({ resourceType: "Parameters" })).toEqual([])
})
