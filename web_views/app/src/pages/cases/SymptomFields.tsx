import { ActionIcon, Button, Fieldset, Group, Stack, TextInput } from "@mantine/core"
import { IconPlus, IconX } from "@tabler/icons-react"
import { emptySymptom, type Symptom } from "./opening"

/** The symptoms of a new case: one line each. */
export function SymptomFields({ value, onChange }: { value: Symptom[]; onChange: (symptoms: Symptom[]) => void }) {
  const change = (id: string, part: Partial<Symptom>) =>
    onChange(value.map((one) => (one.id === id ? { ...one, ...part } : one)))
  return (
    <Fieldset legend="Symptoms" variant="unstyled">
      <Stack gap="xs" align="start">
        {value.map((one, place) => (
          <Group key={one.id} gap="xs" w="100%" align="end">
            <TextInput
              label={`Symptom ${place + 1}`} placeholder="Chest pain" style={{ flex: "1 1 10rem" }}
              value={one.what} onChange={(event) => change(one.id, { what: event.currentTarget.value })}
            />
            <TextInput
              label="In the patient's words" placeholder="Pressing, worse when walking" style={{ flex: "2 1 12rem" }}
              value={one.more} onChange={(event) => change(one.id, { more: event.currentTarget.value })}
            />
            {value.length > 1 && (
              <ActionIcon
                color="gray" size={36} aria-label={`Remove symptom ${place + 1}`}
                onClick={() => onChange(value.filter(({ id }) => id !== one.id))}
              >
                <IconX size={18} aria-hidden />
              </ActionIcon>
            )}
          </Group>
        ))}
        <Button
          variant="subtle" size="compact-sm" leftSection={<IconPlus size={16} aria-hidden />}
          onClick={() => onChange([...value, emptySymptom()])}
        >
          Another symptom
        </Button>
      </Stack>
    </Fieldset>
  )
}
