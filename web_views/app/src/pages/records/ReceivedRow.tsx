import { Badge, Group, Paper, Text } from "@mantine/core"
import { Link } from "react-router"
import { textOf } from "../../fhir/codes"
import { PartyName } from "../../parts/Party"
import { ago, dateText, momentText } from "../../words/dates"
import { nameOf } from "../../words/names"
import { titleOf } from "../cases/document"
import { levelText, type Received } from "./shares"

/** A record that is shared with somebody: what it is, about whom, by whom, how much and until when. */
export function ReceivedRow({ of: { share, record, patient } }: { of: Received }) {
  return (
    <li>
      <Link className="row-link" to={`/records/${record.id ?? ""}`}>
        <Paper className="row" p="sm">
          <Group justify="space-between" wrap="nowrap" gap="sm">
            <div style={{ minWidth: 0 }}>
              <Text fw={600} truncate>{titleOf(record)}</Text>
              <Text size="sm" truncate>
                {[patient === undefined ? undefined : nameOf(patient), textOf(record.type), dateText(record.date)].filter(Boolean).join(" · ")}
              </Text>
              <Text size="sm" c="dimmed" truncate component="div">
                shared {ago(share.given)}
                {share.by !== undefined && <> by <PartyName reference={share.by} /></>}
                {share.until !== undefined && <>, until {momentText(share.until)}</>}
              </Text>
            </div>
            <Badge color="gray">{levelText(share.level)}</Badge>
          </Group>
        </Paper>
      </Link>
    </li>
  )
}
