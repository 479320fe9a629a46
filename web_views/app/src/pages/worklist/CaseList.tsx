import { Group, Stack, Text, Title } from "@mantine/core"
import { useEffect, useId } from "react"
import { Failure, Loading, More } from "../../parts/States"
import { useMe } from "../../session/session"
import { CaseRow } from "./CaseRow"
import { searchOf, type Filter } from "./filter"
import { useCases } from "./useCases"

/** The cases of a filter, page by page; `title` where there are several lists. `told` hears how many there are. */
export function CaseList({ filter, title, told }: { filter: Filter; title?: string; told: (total: number) => void }) {
  const { user, roles } = useMe()
  const cases = useCases(searchOf(filter, [user, ...roles]), filter.order === "changed")
  const heading = useId()
  const { total } = cases
  useEffect(() => {
    if (total !== undefined) told(total)
  }, [total, told])

  if (cases.error !== null && cases.data === undefined)
    return <Failure error={cases.error} retry={() => void cases.refetch()} />
  if (cases.isPending) return <Loading rows={2} />
  if (total === 0) return null
  return (
    <section aria-labelledby={title === undefined ? undefined : heading} style={{ opacity: cases.isPlaceholderData ? 0.6 : 1 }}>
      {title !== undefined && (
        <Group gap={6} mb={6} mt="md">
          <Title order={2} size="h5" id={heading}>{title}</Title>
          <Text size="sm" c="dimmed" className="numbers">{total}</Text>
        </Group>
      )}
      <Stack gap="xs" component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-label={title ?? "Cases"}>
        {cases.bundles.flatMap((bundle) => (bundle.entry ?? []).map(({ resource, search }) =>
          resource?.resourceType === "Encounter" && search?.mode !== "include"
            ? <CaseRow key={resource.id} of={resource} among={bundle} recent={cases.recent.has(resource.id ?? "")} />
            : null))}
      </Stack>
      <More of={cases} />
    </section>
  )
}
