import { Button, FileButton, SimpleGrid, Text } from "@mantine/core"
import { IconUpload } from "@tabler/icons-react"
import type { DocumentReference, Encounter } from "fhir/r4"
import { useRef, useState, type DragEvent } from "react"
import { usePages } from "../../fhir/hooks"
import { More, Show } from "../../parts/States"
import { DocumentTile } from "./DocumentTile"
import { Nothing, Section } from "./Section"
import { useLeaveWarning, useUploads } from "./uploads"
import { UploadRow } from "./UploadRow"
import { Viewer } from "./Viewer"

/** Files of the case: a picture of each, more by button or drag-and-drop. New ones appear by themselves. */
export function Documents({ encounter }: { encounter: Encounter }) {
  const asked = usePages<DocumentReference>("DocumentReference", {
    encounter: `Encounter/${encounter.id ?? ""}`,
    status: "current",
    _sort: "-date,_id",
    _count: 12,
  })
  const { uploads, add, again, drop } = useUploads(encounter)
  useLeaveWarning(uploads.length > 0)
  const [open, setOpen] = useState<DocumentReference>()
  const [over, setOver] = useState(false)
  const depth = useRef(0) // dragging over what is within leaves and enters again

  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes("Files")
  const enter = (event: DragEvent, step: 1 | -1) => {
    if (!hasFiles(event)) return
    depth.current += step
    setOver(depth.current > 0)
  }
  const dropped = (event: DragEvent) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    depth.current = 0
    setOver(false)
    add(event.dataTransfer.files)
  }

  return (
    <div
      onDragEnter={(event) => enter(event, 1)} onDragLeave={(event) => enter(event, -1)}
      onDragOver={(event) => { if (hasFiles(event)) event.preventDefault() }} onDrop={dropped}
      style={over ? { outline: "2px dashed var(--mantine-color-anchor)", outlineOffset: 3, borderRadius: 8 } : undefined}
    >
      <Section
        title="Documents" count={asked.resources.length}
        actions={(
          <FileButton multiple onChange={add}>
            {(props) => (
              <Button {...props} size="compact-sm" variant="subtle" leftSection={<IconUpload size={16} aria-hidden />}>Add documents</Button>
            )}
          </FileButton>
        )}
      >
        {uploads.map((one) => <UploadRow key={one.id} of={one} again={() => again(one)} drop={() => drop(one.id)} />)}
        <Show of={asked} rows={1}>
          {() => (
            <>
              {asked.resources.length === 0 && uploads.length === 0 && (
                <Nothing>No documents yet. Drop files here, or add them with the button.</Nothing>
              )}
              <SimpleGrid component="ul" cols={{ base: 2, xs: 3, sm: 4 }} spacing="xs" m={0} p={0} style={{ listStyle: "none" }} aria-label="Documents">
                {asked.resources.map((one) => <DocumentTile key={one.id} of={one} open={() => setOpen(one)} />)}
              </SimpleGrid>
            </>
          )}
        </Show>
        <More of={asked} />
        {over && <Text size="sm" mt="xs">Let go to add the files.</Text>}
      </Section>
      {open !== undefined && <Viewer key={open.id} of={open} close={() => setOpen(undefined)} />}
    </div>
  )
}
