import { Badge } from "@mantine/core"
import { urgencyText } from "./asking"

/** How urgent; nothing for routine. */
export function Urgency({ of }: { of: string | undefined }) {
  if (of === undefined || of === "routine") return null
  return <Badge color={of === "stat" ? "red" : "orange"} variant={of === "stat" ? "filled" : "light"}>{urgencyText(of)}</Badge>
}
