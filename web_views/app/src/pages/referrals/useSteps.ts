import type { Task } from "fhir/r4"
import { useState } from "react"
import { keyOf } from "../../fhir/bundle"
import { useRefresh } from "../../fhir/hooks"
import { FhirError } from "../../fhir/outcome"
import type { PatchStep } from "../../fhir/server"
import { useMe } from "../../session/session"
import type { Step } from "./referral"

/** Taken; overtaken, when the referral is not any more what the user saw; or it did not work, and can be tried again. */
export type Outcome = "taken" | "overtaken" | "failed"
export type Steps = {
  busy: Step | undefined
  problem: unknown
  take: (step: Step, said?: string) => Promise<Outcome>
  forget: () => void
}

/** Taking a step of a referral; whatever came of it, what is shown is asked anew. */
export function useSteps(task: Task): Steps {
  const { server, user } = useMe()
  const refresh = useRefresh()
  const [busy, setBusy] = useState<Step>()
  const [problem, setProblem] = useState<unknown>()
  const reference = `Task/${task.id ?? ""}`

  function send(step: Step, said: string): Promise<unknown> {
    // An answer given twice is one answer: so it can be sent again after a lost connection.
    if (step !== "cancel" && (step !== "complete" || said === ""))
      return server.operation(`${reference}/$respond`, [
        { name: "action", valueCode: step },
        ...(step === "reject" ? [{ name: "reason", valueCodeableConcept: { text: said } }] : []),
      ])
    return server.patch(reference, patchOf(step, said, task, user), task.meta?.versionId)
  }

  async function take(step: Step, said = ""): Promise<Outcome> {
    setBusy(step)
    setProblem(undefined)
    try {
      await send(step, said.trim())
      return "taken"
    } catch (error) {
      setProblem(error)
      return error instanceof FhirError && (error.status === 409 || error.status === 412) ? "overtaken" : "failed"
    } finally {
      await refresh(...touched(task))
      setBusy(undefined)
    }
  }
  return { busy, problem, take, forget: () => setProblem(undefined) }
}

/** What changes with a task: its request, its history, and whether the patient may be seen. */
export const touched = (task: Task): string[] =>
  [`Task/${task.id ?? ""}`, `Task/${task.id ?? ""}/_history`, keyOf(task.focus), keyOf(task.for)].filter((one) => one !== undefined)

function patchOf(step: Step, said: string, task: Task, user: string): PatchStep[] {
  const status: PatchStep = { op: "replace", path: "/status", value: step === "cancel" ? "cancelled" : "completed" }
  if (said === "") return [status]
  if (step === "cancel") return [{ op: "add", path: "/statusReason", value: { text: said } }, status]
  const note = { text: said, time: new Date().toISOString(), authorReference: { reference: user } }
  const add: PatchStep = task.note === undefined ? { op: "add", path: "/note", value: [note] } : { op: "add", path: "/note/-", value: note }
  return [add, status]
}
