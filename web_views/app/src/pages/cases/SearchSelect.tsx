import { Group, Loader, Select, Text, type SelectProps } from "@mantine/core"
import type { ReactNode } from "react"
import { onEnter } from "../../parts/onEnter"

export type Found = { value: string; label: string; detail?: string; sign?: ReactNode }

/** A box to type into, and what the server found for it: the arrow keys and Enter choose. */
export function SearchSelect({ text, onText, found, busy, least = 2, onPick, ...field }: {
  text: string
  onText: (text: string) => void
  found: Found[]
  busy: boolean
  least?: number
  onPick: (found: Found) => void
} & Omit<SelectProps, "data" | "value" | "onChange">) {
  const first = busy ? undefined : found[0]
  const short = text.trim().length < least
  return (
    <Select
      {...field}
      searchable
      selectFirstOptionOnChange
      value={null}
      data={short ? [] : found.map(({ value, label }) => ({ value, label }))}
      filter={({ options }) => options}
      searchValue={text}
      onSearchChange={onText}
      onChange={(value) => {
        const picked = found.find((one) => one.value === value)
        if (picked !== undefined) onPick(picked)
      }}
      nothingFoundMessage={short ? `Type ${least} letters or more` : busy ? "Searching…" : "Nobody found"}
      onKeyDown={onEnter(first === undefined ? undefined : () => onPick(first))}
      rightSection={busy && !short ? <Loader size="xs" /> : undefined}
      maxDropdownHeight={320}
      renderOption={({ option }) => <Line of={found.find(({ value }) => value === option.value)} />}
    />
  )
}

const Line = ({ of }: { of?: Found }) => (
  <Group gap="sm" wrap="nowrap">
    {of?.sign}
    <div>
      <Text size="sm" fw={500}>{of?.label}</Text>
      <Text size="xs" c="dimmed" className="numbers">{of?.detail}</Text>
    </div>
  </Group>
)
