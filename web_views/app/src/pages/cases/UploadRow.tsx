import { Button, Group, Progress, Text } from "@mantine/core"
import { sizeText } from "./document"
import type { Upload } from "./uploads"

/** A file on its way, how far it is; or why it stopped. */
export function UploadRow({ of, again, drop }: { of: Upload; again: () => void; drop: () => void }) {
  const percent = Math.round(of.share * 100)
  return (
    <div style={{ marginBottom: 8 }}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" truncate>{of.file.name}</Text>
        <Text size="xs" c="dimmed" className="numbers">{sizeText(of.file.size)} · {percent} %</Text>
      </Group>
      <Progress value={percent} color={of.problem === undefined ? undefined : "red"} aria-label={`Sending ${of.file.name}`} />
      {of.problem !== undefined && (
        <Group gap="xs" role="alert" mt={4}>
          <Text size="sm">Not sent. {of.problem}</Text>
          <Button size="compact-xs" variant="default" onClick={again}>Try again</Button>
          <Button size="compact-xs" variant="subtle" color="gray" onClick={drop}>Discard</Button>
        </Group>
      )}
    </div>
  )
}
