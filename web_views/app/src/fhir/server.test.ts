import { expect, test } from "vitest"
import { queryOf } from "./server"

test("any of several is one parameter, several includes are several", () => {
  expect(queryOf({ status: ["a", "b"], _include: ["Task:focus", "Task:patient"], empty: [], none: undefined })).toBe(
    "?status=a%2Cb&_include=Task%3Afocus&_include=Task%3Apatient",
  )
})
