import { Button, Stack } from "@mantine/core"
import { IconUserPlus } from "@tabler/icons-react"
import type { Bundle, Encounter } from "fhir/r4"
import { AssignForm } from "./AssignForm"
import { isOpen, workersOf } from "./case"
import { Nothing, Section } from "./Section"
import { useMyPart } from "./useCase"
import { useOpener } from "./useOpener"
import { WorkerRow } from "./WorkerRow"

/** Who works on the case, whether they are online; assigning others. */
export function Team({ encounter, among }: { encounter: Encounter; among: Bundle }) {
  const { opened, trigger, toggle, close } = useOpener()
  const { works } = useMyPart(encounter)
  const workers = workersOf(encounter)
  const may = works && isOpen(encounter)
  return (
    <Section
      title="Team"
      count={workers.length}
      actions={may && (
        <Button
          size="compact-sm" variant="subtle" leftSection={<IconUserPlus size={16} aria-hidden />}
          ref={trigger} aria-expanded={opened} onClick={toggle}
        >
          Assign somebody
        </Button>
      )}
    >
      <Stack gap="xs">
        {workers.length === 0 && <Nothing>Nobody works on this case yet. Join it, or assign somebody.</Nothing>}
        {workers.length > 0 && (
          <Stack component="ul" gap={6} m={0} p={0} style={{ listStyle: "none" }} aria-label="Who works on it">
            {workers.map((worker) => <WorkerRow key={worker.key} of={worker} encounter={encounter} among={among} may={may} />)}
          </Stack>
        )}
        {!works && isOpen(encounter) && <Nothing>You do not work on this case. Who does can assign you.</Nothing>}
        {opened && may && <AssignForm encounter={encounter} close={close} />}
      </Stack>
    </Section>
  )
}
