import { Badge } from "@mantine/core"
import type { Encounter, Task } from "fhir/r4"
import { codeIn, SYSTEM } from "../fhir/codes"

type Look = { label: string; color: string }

const CASE: Partial<Record<Encounter["status"], Look>> = {
  planned: { label: "Open", color: "blue" },
  triaged: { label: "Assigned", color: "indigo" },
  "in-progress": { label: "In progress", color: "sea" },
  onleave: { label: "On hold", color: "grape" },
  finished: { label: "Finished", color: "gray" },
  cancelled: { label: "Cancelled", color: "gray" },
  "entered-in-error": { label: "Entered in error", color: "gray" },
}
const PRIORITY: Record<string, Look> = {
  EM: { label: "Emergency", color: "red" },
  UR: { label: "Urgent", color: "orange" },
  R: { label: "Routine", color: "gray" },
}
const REFERRAL: Partial<Record<Task["status"], Look>> = {
  requested: { label: "Requested", color: "blue" },
  accepted: { label: "Accepted", color: "sea" },
  "in-progress": { label: "In progress", color: "sea" },
  completed: { label: "Completed", color: "gray" },
  rejected: { label: "Rejected", color: "red" },
  cancelled: { label: "Cancelled", color: "gray" },
}

export const caseStatusText = (status: Encounter["status"]) => CASE[status]?.label ?? status
export const CASE_STATUSES = Object.entries(CASE).map(([value, look]) => ({ value, label: look.label }))

export const CaseStatus = ({ status }: { status: Encounter["status"] }) => <Sign look={CASE[status]} code={status} />
export const TaskStatus = ({ status }: { status: Task["status"] }) => <Sign look={REFERRAL[status]} code={status} />

/** Of a case; nothing for routine unless `all`. */
export function Priority({ of, all = false }: { of: Encounter; all?: boolean }) {
  const code = codeIn(of.priority, SYSTEM.priority)
  if (code === undefined || (code === "R" && !all)) return null
  return <Sign look={PRIORITY[code]} code={code} strong={code === "EM"} />
}

function Sign({ look, code, strong = false }: { look?: Look; code: string; strong?: boolean }) {
  return <Badge color={look?.color ?? "gray"} variant={strong ? "filled" : "light"}>{look?.label ?? code}</Badge>
}
