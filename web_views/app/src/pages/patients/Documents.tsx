import { SimpleGrid, Stack } from "@mantine/core"
import type { DocumentReference } from "fhir/r4"
import { useState } from "react"
import { usePages } from "../../fhir/hooks"
import { Empty, More, Show } from "../../parts/States"
import { DocumentTile } from "../cases/DocumentTile"
import { Viewer } from "../cases/Viewer"
import { ShareRecord } from "../records/ShareRecord"
import type { OfChart } from "./section"

/** Every document of the patient that one may see, to open and to share. */
export default function Documents({ patient }: OfChart) {
  const found = usePages<DocumentReference>("DocumentReference", {
    patient: `Patient/${patient.id ?? ""}`,
    status: "current",
    _sort: "-date",
    _count: 24,
  })
  const [open, setOpen] = useState<DocumentReference>()
  return (
    <Show of={found}>
      {() => found.resources.length === 0
        ? <Empty title="There is no document">Documents of cases and visits are shown here.</Empty>
        : (
          <>
            <SimpleGrid cols={{ base: 2, xs: 3, md: 5 }} spacing="sm">
              {found.resources.map((one) => (
                <Stack key={one.id} gap={6} component="ul" m={0} p={0} style={{ listStyle: "none" }}>
                  <DocumentTile of={one} open={() => setOpen(one)} />
                  <li><ShareRecord document={one} /></li>
                </Stack>
              ))}
            </SimpleGrid>
            <More of={found} />
            {open !== undefined && <Viewer key={open.id} of={open} close={() => setOpen(undefined)} />}
          </>
        )}
    </Show>
  )
}
