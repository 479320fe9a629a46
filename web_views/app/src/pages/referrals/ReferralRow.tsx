import { Badge, Group, Paper, Text } from "@mantine/core"
import { IconArrowRight } from "@tabler/icons-react"
import type { Patient } from "fhir/r4"
import type { ReactNode } from "react"
import { Link } from "react-router"
import { textOf } from "../../fhir/codes"
import { TaskStatus } from "../../parts/badges"
import { PartyName } from "../../parts/Party"
import { age, ago } from "../../words/dates"
import { nameOf } from "../../words/names"
import { answeredBy, requestState, type Pair } from "./referral"
import { Urgency } from "./Urgency"

/** A referral in a list: about whom, what, from whom to whom, how urgent, how far. `patient` null: not theirs to see. */
export function ReferralRow({ task, request, patient }: Pair & { patient?: Patient | null }) {
  const what = textOf(request?.code) ?? "Referral"
  const who = patient === null ? "Patient not open to you" : patient === undefined ? undefined : nameOf(patient)
  const answered = task === undefined ? undefined : answeredBy(task)
  return (
    <Linked to={task?.id}>
      <Paper className="row" p="sm">
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <div style={{ minWidth: 0 }}>
            <Group gap={6}>
              <Text fw={600} truncate>{who ?? what}</Text>
              {patient?.birthDate !== undefined && <Text size="sm" c="dimmed">{age(patient.birthDate)}</Text>}
              <Urgency of={task?.priority ?? request?.priority} />
            </Group>
            {who !== undefined && <Text size="sm" truncate>{what}</Text>}
            <Text size="sm" c="dimmed" truncate component="div">
              <PartyName reference={task?.requester ?? request?.requester} />
              <IconArrowRight size={14} aria-label="to" role="img" style={{ margin: "0 4px", verticalAlign: "-2px" }} />
              <PartyName reference={task?.owner ?? request?.performer?.[0]} />
              {answered !== undefined && <> · answered by <PartyName reference={answered} /></>}
            </Text>
          </div>
          <Group gap="xs" wrap="nowrap">
            <Text size="xs" c="dimmed" visibleFrom="xs" style={{ whiteSpace: "nowrap" }}>
              {ago(task?.authoredOn ?? request?.authoredOn)}
            </Text>
            {task !== undefined && <TaskStatus status={task.status} />}
            {task === undefined && request !== undefined && <Badge color="gray">{requestState(request)}</Badge>}
          </Group>
        </Group>
      </Paper>
    </Linked>
  )
}

/** Only who asks and who is asked may look at it more closely. */
const Linked = ({ to, children }: { to?: string; children: ReactNode }) => (
  <li>{to === undefined ? children : <Link className="row-link" to={`/referrals/${to}`}>{children}</Link>}</li>
)
