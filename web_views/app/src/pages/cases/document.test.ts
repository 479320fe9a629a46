import type { DocumentReference } from "fhir/r4"
import { expect, it } from "vitest"
import { THUMBNAIL } from "../../fhir/codes"
import { filesOf, sizeText, titleOf, viewOf } from "./document"

const DOCUMENT: DocumentReference = {
  resourceType: "DocumentReference",
  status: "current",
  content: [
    { attachment: { url: "Binary/small" }, extension: [{ url: THUMBNAIL, valueBoolean: true }] },
    { attachment: { url: "Binary/big", title: "ecg.png" } },
  ],
}

it("tells the file from its preview", () => {
  expect(filesOf(DOCUMENT).file?.url).toBe("Binary/big")
  expect(filesOf(DOCUMENT).preview?.url).toBe("Binary/small")
  expect(titleOf(DOCUMENT)).toBe("ecg.png")
})

it.each([
  ["image/png", "image"], ["IMAGE/JPEG; x=y", "image"], ["application/pdf", "pdf"], ["text/plain", "text"],
  ["image/svg+xml", undefined], ["text/html", undefined], [undefined, undefined],
])("looks at %s as %s: nothing that could run scripts", (kind, view) => expect(viewOf(kind)).toBe(view))

it("says sizes with their unit", () => {
  expect(sizeText(undefined)).toBeUndefined()
  expect(sizeText(0)).toBe("0 bytes")
  expect(sizeText(999)).toBe("999 bytes")
  expect(sizeText(1_440_000)).toBe("1.4 MB")
})
