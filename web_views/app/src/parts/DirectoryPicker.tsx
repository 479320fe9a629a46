import { Select, Text } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import { keepPreviousData, useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { directory, type Party, type PartyKind } from "../fhir/directory"
import { useMe } from "../session/session"
import { onEnter } from "./onEnter"

/** Somebody of the directory, found by name or specialty as one types; `but` are not offered. */
export function DirectoryPicker({ label, kinds, value, onChange, but = [], error, description }: {
  label: string
  kinds: readonly PartyKind[]
  value: Party | undefined
  onChange: (party: Party | undefined) => void
  but?: readonly string[]
  error?: string
  description?: string
}) {
  const { server } = useMe()
  const [text, setText] = useState(value?.display ?? "")
  const [wanted] = useDebouncedValue(text.trim(), 250)
  const searching = wanted !== "" && wanted !== value?.display
  const found = useQuery({
    queryKey: ["search", "PractitionerRole", "directory", kinds, wanted],
    queryFn: ({ signal }) => directory(server, wanted, kinds, signal),
    placeholderData: keepPreviousData,
    enabled: searching,
  })
  const offered = (searching ? (found.data ?? []) : []).filter((one) => !but.includes(one.reference))
  const shown = value === undefined || offered.some((one) => one.reference === value.reference) ? offered : [value, ...offered]
  const first = offered[0]
  return (
    <Select
      label={label} description={description} error={error ?? (found.error ? "The directory did not answer; type again." : undefined)}
      placeholder="Name or specialty" required searchable clearable
      clearButtonProps={{ "aria-label": `Clear ${label}` }}
      data={shown.map((one) => ({ value: one.reference, label: one.display }))}
      filter={({ options }) => options}
      value={value?.reference ?? null}
      onChange={(reference) => onChange(shown.find((one) => one.reference === reference))}
      searchValue={text} onSearchChange={setText}
      onKeyDown={searching ? onEnter(found.isFetching || first === undefined ? undefined : () => onChange(first)) : undefined}
      nothingFoundMessage={!searching || found.isFetching || wanted !== text.trim() ? "Type a name or a specialty…" : "Nobody of this name or specialty"}
      renderOption={({ option }) => {
        const party = shown.find((one) => one.reference === option.value)
        return (
          <div>
            <Text size="sm">{party?.display}</Text>
            {party?.about !== "" && <Text size="xs" c="dimmed">{party?.about}</Text>}
          </div>
        )
      }}
    />
  )
}
