import { expect, it } from "vitest"
import { whyNot } from "./devices"

it.each([
  ["camera", "NotAllowedError", /may not use your camera\. Allow it/],
  ["microphone", "NotFoundError", /No microphone was found/],
  ["camera", "NotReadableError", /used by another program/],
  ["screen", "NotAllowedError", /screen is not shared/],
] as const)("says what is wrong with the %s after %s", (device, name, said) => {
  expect(whyNot(device, new DOMException("", name))).toMatch(said)
})

it("says of anything else that it does not work", () => {
  expect(whyNot("camera", new TypeError("?"))).toBe("Your camera cannot be used.")
})
