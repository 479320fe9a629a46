import { Alert, Button, Group, Radio, Stack, Text, TextInput, Title } from "@mantine/core"
import { useState } from "react"
import { useDraft } from "../../drafts/draft"
import { useRefresh } from "../../fhir/hooks"
import { words } from "../../fhir/outcome"
import { DirectoryPicker } from "../../parts/DirectoryPicker"
import { Said } from "../../parts/Party"
import { useNames } from "../../session/names"
import { useMe } from "../../session/session"
import { blank, LEVELS, parametersOf, type Sharing } from "./shares"

const KINDS = ["Practitioner", "PractitionerRole", "Organization"] as const

/** With whom, how much, until when. The same share twice is one: the server keeps one for each who has the record. */
export function ShareForm({ record }: { record: string }) {
  const { server } = useMe()
  const { self } = useNames()
  const refresh = useRefresh()
  const [sharing, setSharing, clear] = useDraft<Sharing>(`share:${record}`, blank)
  const [tried, setTried] = useState(false)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const [done, setDone] = useState<string>()
  const set = (some: Partial<Sharing>) => { setSharing({ ...sharing, ...some }); setDone(undefined) }

  async function share() {
    setTried(true)
    if (sharing.whom === undefined) return
    setBusy(true)
    setProblem(undefined)
    try {
      await server.operation(`${record}/$share`, parametersOf(sharing))
      setDone(`${sharing.whom.display} has it now, and is told.`)
      clear()
      setTried(false)
      await refresh("Consent")
    } catch (error) {
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }

  return (
    <form onSubmit={(event) => { event.preventDefault(); void share() }} noValidate aria-label="Share with one more">
      <Stack>
        <Title order={3} size="h6">Share with one more</Title>
        <DirectoryPicker
          key={done} label="With whom" kinds={KINDS} but={self} value={sharing.whom} onChange={(whom) => set({ whom })}
          error={tried && sharing.whom === undefined ? "Choose with whom." : undefined}
        />
        <Radio.Group label="How much" value={sharing.level} onChange={(value) => set({ level: LEVELS.find((one) => one.value === value)?.value ?? "limited" })}>
          <Stack gap="xs" mt={6}>
            {LEVELS.map(({ value, label, description }) => <Radio key={value} value={value} label={label} description={description} />)}
          </Stack>
        </Radio.Group>
        <TextInput
          type="date" label="Until" description="The last day; without one, until it is ended." value={sharing.until}
          min={new Date().toISOString().slice(0, 10)} onChange={(event) => set({ until: event.currentTarget.value })} w={{ xs: 220 }}
        />
        {problem !== undefined && <Alert color="red" role="alert"><Text size="sm"><Said>{words(problem)}</Said></Text></Alert>}
        <Group justify="space-between">
          <Text size="sm" role="status">{done}</Text>
          <Button type="submit" loading={busy}>Share</Button>
        </Group>
      </Stack>
    </form>
  )
}
