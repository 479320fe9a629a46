import { Badge, Button, Group, Text } from "@mantine/core"
import type { CarePlan, Encounter } from "fhir/r4"
import { PersonName } from "../../parts/Person"
import { momentText } from "../../words/dates"
import { isOpen } from "./case"
import { PlanForm } from "./PlanForm"
import { usePlanDraft } from "./plan"
import { useOpener } from "./useOpener"

/** A plan as it stands, and changing it. While one writes, what others made of it stays in sight. */
export function PlanCard({ of, encounter }: { of: CarePlan; encounter: Encounter }) {
  const [draft, setDraft] = usePlanDraft(encounter, of) // the form goes on with it
  const { opened, trigger, toggle, close } = useOpener(draft.version !== undefined)

  function edit() {
    if (opened) return // what is typed stays
    setDraft({ id: "", title: of.title ?? "", text: of.description ?? "", version: of.meta?.versionId })
    toggle()
  }

  return (
    <article aria-label={of.title ?? "Plan"}>
      <Group justify="space-between" wrap="nowrap" align="start" gap="xs">
        <div style={{ minWidth: 0 }}>
          {of.title !== undefined && <Text fw={500} size="sm" className="wrap">{of.title}</Text>}
          {of.description !== undefined && <Text size="sm" className="wrap" style={{ whiteSpace: "pre-wrap" }}>{of.description}</Text>}
          <Text size="xs" c="dimmed">
            {momentText(of.meta?.lastUpdated ?? of.created)}
            {of.author !== undefined && <> · <PersonName reference={of.author} /></>}
          </Text>
        </div>
        <Group gap={4} wrap="nowrap">
          {of.status !== "active" && <Badge color="gray">{of.status}</Badge>}
          {isOpen(encounter) && (
            <Button size="compact-sm" variant="subtle" ref={trigger} aria-expanded={opened} onClick={edit}>
              Edit<span className="visually-hidden"> plan</span>
            </Button>
          )}
        </Group>
      </Group>
      {opened && isOpen(encounter) && <PlanForm encounter={encounter} plan={of} close={close} />}
    </article>
  )
}
