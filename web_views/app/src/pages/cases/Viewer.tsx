import { Button, Group, Modal, Stack, Text } from "@mantine/core"
import { IconDownload } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import type { DocumentReference } from "fhir/r4"
import { Suspense, useCallback, useState, type ComponentType } from "react"
import { PersonName } from "../../parts/Person"
import { Show, Waiting } from "../../parts/States"
import { useMe } from "../../session/session"
import { momentText } from "../../words/dates"
import { bytesOf, filesOf, isSealed, sizeText, titleOf, viewOf } from "./document"
import { Picture } from "./Picture"

/** What else can be done with an open document: every `pages/<name>/of-document.tsx`, below it when it is asked for. */
type OfDocument = { label: string; order: number; default: ComponentType<{ document: DocumentReference }> }
const SECTIONS = Object.values(import.meta.glob<OfDocument>("../*/of-document.tsx", { eager: true })).sort(
  (one, other) => one.order - other.order,
)

/** A document opened: images, PDF and text are shown, everything can be downloaded. */
export function Viewer({ of, close }: { of: DocumentReference; close: () => void }) {
  const { server } = useMe()
  const { file } = filesOf(of)
  const [section, setSection] = useState<OfDocument>()
  const asked = useQuery({
    queryKey: ["bytes", file?.url ?? of.id],
    queryFn: ({ signal }) => bytesOf(server, file ?? {}, signal),
    staleTime: Infinity,
    gcTime: 60_000,
  })
  return (
    <Modal opened onClose={close} size="xl" title={titleOf(of)}>
      <Stack>
        <Show of={asked} rows={3}>{(bytes) => <Content id={of.id} bytes={bytes} name={titleOf(of)} sealed={isSealed(of)} />}</Show>
        <Group justify="space-between">
          <Text size="sm" c="dimmed">
            {[momentText(of.date), sizeText(file?.size)].filter(Boolean).join(" · ")}
            {of.author?.[0] !== undefined && <> · <PersonName reference={of.author[0]} /></>}
          </Text>
          <Group gap="xs">
            {SECTIONS.map((one) => (
              <Button
                key={one.label} variant="default" aria-expanded={section === one}
                onClick={() => setSection(section === one ? undefined : one)}
              >
                {one.label}
              </Button>
            ))}
            <Button
              disabled={asked.data === undefined} leftSection={<IconDownload size={18} aria-hidden />}
              onClick={() => { if (asked.data !== undefined) download(asked.data, titleOf(of)) }}
            >
              Download
            </Button>
          </Group>
        </Group>
        {section !== undefined && <Suspense fallback={<Waiting />}><section.default document={of} /></Suspense>}
      </Stack>
    </Modal>
  )
}

function Content({ id, bytes, name, sealed }: { id?: string; bytes: Blob; name: string; sealed: boolean }) {
  const view = sealed ? undefined : viewOf(bytes.type)
  const text = useQuery({ queryKey: ["text", id], queryFn: () => bytes.text(), enabled: view === "text", gcTime: 0 })
  if (view === "image") return <Picture of={bytes} alt={name} fit="contain" />
  if (view === "pdf") return <Paper of={bytes} name={name} />
  if (view === "text") return <Text component="pre" size="sm" className="wrap" style={{ whiteSpace: "pre-wrap" }}>{text.data}</Text>
  return <Text size="sm">{sealed ? "Encrypted end to end: only those it was sent to can read it." : "This kind of file is not shown here. Download it to look at it."}</Text>
}

function Paper({ of, name }: { of: Blob; name: string }) {
  const shown = useCallback((frame: HTMLIFrameElement | null) => {
    if (frame === null) return
    const url = URL.createObjectURL(of)
    frame.src = url
    return () => URL.revokeObjectURL(url)
  }, [of])
  return <iframe ref={shown} title={name} style={{ width: "100%", height: "70vh", border: 0 }} />
}

function download(bytes: Blob, name: string) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(bytes)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
