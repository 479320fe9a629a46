import { Button } from "@mantine/core"
import { IconCheck } from "@tabler/icons-react"
import type { Task } from "fhir/r4"
import { stepsOf, type Step } from "./referral"
import { useNames } from "../../session/names"
import { StepDialog } from "./StepDialog"
import type { Steps } from "./useSteps"

/** What the user may do with the referral as it stands now. */
export function Actions({ task, steps }: { task: Task; steps: Steps }) {
  const me = useNames()
  const may = stepsOf(task, me)
  const at = (step: Step) => may.includes(step) || steps.busy === step
  const id = task.id ?? ""
  return (
    <>
      <StepDialog
        step="reject" id={id} offered={at("reject")} steps={steps} label="Reject…" title="Reject this referral" confirm="Reject" danger required
        field="Reason" description="The one who refers reads it. A rejected referral does not open again."
      />
      <StepDialog
        step="cancel" id={id} offered={at("cancel")} steps={steps} label="Cancel referral…" title="Cancel this referral" confirm="Cancel the referral" danger
        field="Reason" description="Who was asked is told. A cancelled referral does not open again; refer anew if you have to."
      />
      <StepDialog
        step="complete" id={id} offered={at("complete")} steps={steps} label="Complete…" title="Complete this referral" confirm="Complete"
        primary={task.status === "in-progress"}
        field="Note" description="What came of it, for the one who refers. With it the chart closes for who was asked."
      />
      {at("start") && <Button loading={steps.busy === "start"} onClick={() => void steps.take("start")}>Start</Button>}
      {at("accept") && (
        <Button loading={steps.busy === "accept"} leftSection={<IconCheck size={18} aria-hidden />} onClick={() => void steps.take("accept")}>
          Accept
        </Button>
      )}
    </>
  )
}
