import { Button, Chip, CloseButton, Group, MultiSelect, NativeSelect, TextInput } from "@mantine/core"
import { useDebouncedCallback } from "@mantine/hooks"
import { IconSearch } from "@tabler/icons-react"
import { useState } from "react"
import { CASE_STATUSES } from "../../parts/badges"
import { PRIORITIES } from "../cases/case"
import { addressOf, filterOf, type Filter, type Order } from "./filter"

const ORDERS: { value: Order; label: string }[] = [
  { value: "urgent", label: "Most urgent, then oldest" },
  { value: "changed", label: "Last changed" },
]

const HALF = "calc(50% - var(--mantine-spacing-sm) / 2)" // of a phone's line

/** Which cases, and in which order. */
export function Filters({ filter, choose }: { filter: Filter; choose: (part: Partial<Filter>) => void }) {
  const [text, setText] = useState(filter.find)
  const find = useDebouncedCallback((sought: string) => choose({ find: sought }), 250)
  const seek = (sought: string) => {
    setText(sought)
    find(sought)
  }
  const { status, priority } = filter
  const isPlain = addressOf({ ...filter, find: text }).size === 0
  return (
    <Group mb="md" align="end" gap="sm">
      <Chip.Group value={filter.mine ? "mine" : "all"} onChange={(value) => choose({ mine: value !== "all" })}>
        <Group gap={6} role="radiogroup" aria-label="Whose cases">
          <Chip value="mine">Mine</Chip>
          <Chip value="all">All</Chip>
        </Group>
      </Chip.Group>
      <TextInput
        aria-label="Find by patient or case number" placeholder="Patient or case number" type="search"
        leftSection={<IconSearch size={16} aria-hidden />} w={{ base: "100%", xs: 220 }}
        rightSection={text === "" ? null : <CloseButton size="sm" aria-label="Clear the search" onClick={() => seek("")} />}
        value={text} onChange={(event) => seek(event.currentTarget.value)}
      />
      <MultiSelect
        aria-label="Status" placeholder={status.length === 0 ? "Every open state" : undefined} data={CASE_STATUSES}
        value={status} onChange={(values) => choose({ status: values })} w={{ base: HALF, xs: 200 }} clearable
      />
      <MultiSelect
        aria-label="Priority" placeholder={priority.length === 0 ? "Every priority" : undefined} data={PRIORITIES}
        value={priority} onChange={(values) => choose({ priority: values })} w={{ base: HALF, xs: 170 }} clearable
      />
      <NativeSelect
        aria-label="Order" data={ORDERS} value={filter.order} w={{ base: "100%", xs: 240 }}
        onChange={(event) => choose({ order: event.currentTarget.value === "changed" ? "changed" : "urgent" })}
      />
      {!isPlain && (
        <Button
          variant="subtle" size="compact-sm"
          onClick={() => { setText(""); choose(filterOf(new URLSearchParams())) }}
        >
          Reset
        </Button>
      )}
    </Group>
  )
}
