import { Chip, Group, Stack, Text, TextInput, VisuallyHidden } from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import { IconSearch } from "@tabler/icons-react"
import type { Practitioner } from "fhir/r4"
import { useMemo } from "react"
import { useSearchParams } from "react-router"
import { usePages } from "../../fhir/hooks"
import type { Query } from "../../fhir/server"
import { useLive } from "../../live/live"
import { Page } from "../../parts/Page"
import { Empty, Failure, Loading, More } from "../../parts/States"
import { isOnDuty } from "./duty"
import { hereFirst, isHere, members } from "./member"
import { MemberRow } from "./MemberRow"
import { useMinute } from "./minute"

const WHO = [
  { value: "all", label: "Everybody" },
  { value: "online", label: "Online" },
  { value: "duty", label: "On duty" },
]

/** Who works here, and who of them is there now. */
export default function Team() {
  const { online } = useLive()
  const now = useMinute()
  const [query, setQuery] = useSearchParams()
  const who = query.get("who") ?? "all"
  const typed = query.get("name") ?? ""
  const [name] = useDebouncedValue(typed.trim(), 250)
  const asksOnline = who === "online"
  const found = usePages<Practitioner>("Practitioner", asksOnline ? ofThose(online, name) : ofAll(name), !asksOnline || online.size > 0)
  const all = useMemo(() => members(found.data?.pages ?? []), [found.data])
  const shown = hereFirst(all, online).filter((one) =>
    (!asksOnline || isHere(one, online)) && (who !== "duty" || one.roles.some((role) => isOnDuty(role, now))))

  const choose = (key: string, value: string) =>
    setQuery((before) => {
      if (value === "" || value === "all") before.delete(key)
      else before.set(key, value)
      return before
    }, { replace: true })

  return (
    <Page title="Team" lead={`${online.size} of the staff online`}>
      <VisuallyHidden role="status">{online.size} online</VisuallyHidden>
      <Group mb="md" gap="sm" align="end">
        <TextInput
          label="Name" placeholder="A part of the name" type="search" leftSection={<IconSearch size={16} aria-hidden />}
          value={typed} onChange={(event) => choose("name", event.currentTarget.value)} w={{ base: "100%", xs: 260 }}
        />
        <Chip.Group value={who} onChange={(value) => choose("who", String(value))}>
          <Group gap={6} role="radiogroup" aria-label="Whom to show">
            {WHO.map(({ value, label }) => <Chip key={value} value={value}>{label}</Chip>)}
          </Group>
        </Chip.Group>
      </Group>
      {who === "duty" && (
        <Text size="sm" c="dimmed" mb="sm">
          By the hours of their roles, in this device’s time{found.hasNextPage ? "; of those loaded so far" : ""}.
        </Text>
      )}
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {found.isPending && !(asksOnline && online.size === 0) && <Loading />}
      {(found.data !== undefined || asksOnline) && !found.isFetching && shown.length === 0 && (
        <Empty title="There is nobody">{name === "" ? NOBODY[who] : "Try a shorter part of the name."}</Empty>
      )}
      <Stack gap="xs" component="ul" m={0} p={0} style={{ listStyle: "none" }} aria-label="Team">
        {shown.map((one) => <MemberRow key={one.person.id} of={one} here={isHere(one, online)} now={now} />)}
      </Stack>
      <More of={found} />
    </Page>
  )
}

const NOBODY: Record<string, string> = {
  all: "Nobody has an active role here.",
  online: "Nobody of the staff is online.",
  duty: "No role has hours that include this moment.",
}

const COMMON: Query = { _revinclude: "PractitionerRole:practitioner", _sort: "family", _count: 50 }
const ofAll = (name: string): Query =>
  ({ "name:contains": name, active: "true", "_has:PractitionerRole:practitioner:active": "true", ...COMMON })
const ofThose = (online: ReadonlySet<string>, name: string): Query => ({
  "name:contains": name,
  _id: [...online].filter((one) => one.startsWith("Practitioner/")).map((one) => one.replace("Practitioner/", "")).sort(),
  ...COMMON,
})
