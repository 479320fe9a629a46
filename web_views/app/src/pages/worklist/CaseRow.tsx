import { Badge, Group, Paper, Text } from "@mantine/core"
import type { Bundle, Encounter } from "fhir/r4"
import { memo } from "react"
import { Link } from "react-router"
import { resolved } from "../../fhir/bundle"
import { CaseStatus, Priority } from "../../parts/badges"
import { age, ago } from "../../words/dates"
import { nameOf } from "../../words/names"
import { numberOf, openedAt, reasonOf } from "../cases/case"

/** A case in a list: who, why, how urgent, how far, since when; and whether it changed while one looked. */
export const CaseRow = memo(function CaseRow({ of, among, recent }: { of: Encounter; among: Bundle; recent: boolean }) {
  const patient = resolved(among, "Patient", of.subject)
  const who = patient === undefined ? (of.subject?.display ?? "Patient") : nameOf(patient)
  return (
    // What is out of sight is not laid out, so that a thousand rows scroll well.
    <li style={{ contentVisibility: "auto", containIntrinsicSize: "auto 66px" }}>
      <Link className="row-link" to={`/cases/${of.id ?? ""}`}>
        <Paper className="row" p="sm">
          <Group justify="space-between" wrap="nowrap" gap="sm">
            <div style={{ minWidth: 0 }}>
              <Group gap={6}>
                <Text fw={600} truncate>{who}</Text>
                {patient?.birthDate !== undefined && <Text size="sm" c="dimmed">{age(patient.birthDate)}</Text>}
                <Priority of={of} />
                {recent && <Badge color="sea" variant="outline">Just changed</Badge>}
              </Group>
              <Text size="sm" c="dimmed" truncate>{[reasonOf(of), numberOf(of)].filter(Boolean).join(" · ")}</Text>
            </div>
            <Group gap="xs" wrap="nowrap">
              <Text size="xs" c="dimmed" visibleFrom="xs">opened {ago(openedAt(of))}</Text>
              <CaseStatus status={of.status} />
            </Group>
          </Group>
        </Paper>
      </Link>
    </li>
  )
})
