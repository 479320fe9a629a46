import { lazy } from "react"

/** Sharing, from wherever a document is open. */
export const label = "Share"
export const order = 10
export default lazy(() => import("./Sharing"))
