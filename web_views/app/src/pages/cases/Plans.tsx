import { Button, Stack } from "@mantine/core"
import { IconPlus } from "@tabler/icons-react"
import type { CarePlan, Encounter } from "fhir/r4"
import { matches } from "../../fhir/bundle"
import { useSearch } from "../../fhir/hooks"
import { useTopic } from "../../live/live"
import { Show } from "../../parts/States"
import { isOpen } from "./case"
import { PlanCard } from "./PlanCard"
import { PlanForm } from "./PlanForm"
import { usePlanDraft } from "./plan"
import { Nothing, Section } from "./Section"
import { useOpener } from "./useOpener"

/** How the patient is treated: CarePlans of the case. */
export function Plans({ encounter }: { encounter: Encounter }) {
  const asked = useSearch<CarePlan>("CarePlan", {
    encounter: `Encounter/${encounter.id ?? ""}`,
    status: ["draft", "active", "on-hold", "completed"],
    _sort: "-date,_id",
    _count: 20,
  })
  useTopic("care-plan")
  const [draft] = usePlanDraft(encounter)
  const { opened, trigger, toggle, close } = useOpener(draft.title !== "" || draft.text !== "")
  const plans = matches(asked.data)
  return (
    <Section
      title="Plan" count={plans.length > 1 ? plans.length : undefined}
      actions={isOpen(encounter) && (
        <Button
          size="compact-sm" variant="subtle" leftSection={<IconPlus size={16} aria-hidden />}
          ref={trigger} aria-expanded={opened} onClick={toggle}
        >
          {plans.length === 0 ? "Write plan" : "Another plan"}
        </Button>
      )}
    >
      <Show of={asked} rows={1}>
        {() => (
          <Stack gap="sm">
            {plans.length === 0 && !opened && <Nothing>No plan yet.</Nothing>}
            {plans.map((plan) => <PlanCard key={plan.id} of={plan} encounter={encounter} />)}
            {opened && isOpen(encounter) && <PlanForm encounter={encounter} close={close} />}
          </Stack>
        )}
      </Show>
    </Section>
  )
}
