// Encryption from browser to browser: docs/workflows/end-to-end.md.

export { Refused, type Attachment, type Server } from "./fhir"
export { browserShelf, memoryShelf, type OwnKey, type Shelf } from "./shelf"
export { endKey, keysOf, makeKey, publishKey, rotateKey, type PublicKey } from "./keys"
export { NewKeys, NoKey, seal, SEALED } from "./seal"
export { NotForMe, open, openText } from "./open"
