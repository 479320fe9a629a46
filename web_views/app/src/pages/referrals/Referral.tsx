import { Alert, Group, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core"
import { IconAlertTriangle } from "@tabler/icons-react"
import type { Bundle, ServiceRequest, Task } from "fhir/r4"
import { useParams } from "react-router"
import { keyOf } from "../../fhir/bundle"
import { textOf } from "../../fhir/codes"
import { useRead, useRefresh } from "../../fhir/hooks"
import { words } from "../../fhir/outcome"
import { useTopic } from "../../live/live"
import { TaskStatus } from "../../parts/badges"
import { Page } from "../../parts/Page"
import { PartyName, Said } from "../../parts/Party"
import { Empty, Show } from "../../parts/States"
import { Actions } from "./Actions"
import { AskedFor } from "./AskedFor"
import { About } from "./About"
import { answeredBy, isReferral, statesOf } from "./referral"
import { States } from "./States"
import { Urgency } from "./Urgency"
import { touched, useSteps } from "./useSteps"

/** One referral, by its Task: about whom, what is asked, how far it is, and the answers to it; live. */
export default function Referral() {
  const { id = "" } = useParams()
  const task = useRead<Task>(`Task/${id}`)
  if (task.data !== undefined && isReferral(task.data)) return <Known key={id} task={task.data} />
  return (
    <Page title="Referral">
      <Show of={task}>{() => <Empty title="This is no referral">It is a task of another kind.</Empty>}</Show>
    </Page>
  )
}

function Known({ task }: { task: Task }) {
  const request = useRead<ServiceRequest>(keyOf(task.focus))
  const history = useRead<Bundle>(`Task/${task.id ?? ""}/_history`)
  const steps = useSteps(task)
  const refresh = useRefresh()
  useTopic("referral", (references) => {
    if (references.length === 0 || references.includes(`Task/${task.id ?? ""}`)) void refresh(...touched(task))
  })
  const answered = answeredBy(task)
  return (
    <Page
      title={textOf(request.data?.code) ?? "Referral"}
      lead={<>Referral from <PartyName reference={task.requester} /> to <PartyName reference={task.owner} /></>}
      actions={<Actions task={task} steps={steps} />}
    >
      <About task={task} />
      {steps.problem !== undefined && (
        <Alert color="red" icon={<IconAlertTriangle />} title="This was not done" role="alert" mb="md" withCloseButton closeButtonLabel="Dismiss" onClose={steps.forget}>
          <Text size="sm"><Said>{words(steps.problem)}</Said></Text>
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Paper p="md" component="section" aria-labelledby="asked">
          <Group justify="space-between" mb="sm">
            <Title order={2} size="h4" id="asked">What is asked</Title>
            <Urgency of={task.priority} />
          </Group>
          <Show of={request}>{(data) => <AskedFor request={data} task={task} />}</Show>
        </Paper>
        <Paper p="md" component="section" aria-labelledby="states">
          <Stack gap="sm">
            <Group justify="space-between">
              <Title order={2} size="h4" id="states">How far it is</Title>
              <Group gap={6} aria-live="polite" role="status">
                <TaskStatus status={task.status} />
                {answered !== undefined && <Text size="sm">by <PartyName reference={answered} /></Text>}
              </Group>
            </Group>
            <Show of={history} rows={2}>{(data) => <States states={statesOf(data)} notes={task.note ?? []} />}</Show>
          </Stack>
        </Paper>
      </SimpleGrid>
    </Page>
  )
}
