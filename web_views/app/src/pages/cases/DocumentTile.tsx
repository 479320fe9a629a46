import { Center, Text, UnstyledButton, VisuallyHidden } from "@mantine/core"
import { IconFile, IconFileTypePdf, IconLock, IconPhoto } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import type { DocumentReference } from "fhir/r4"
import { useMe } from "../../session/session"
import { dateText } from "../../words/dates"
import { bytesOf, filesOf, isSealed, sizeText, titleOf, viewOf } from "./document"
import { Picture } from "./Picture"

/** A document by its preview, name, size and date. */
export function DocumentTile({ of, open }: { of: DocumentReference; open: () => void }) {
  const { server } = useMe()
  const { file, preview } = filesOf(of)
  const small = useQuery({
    queryKey: ["bytes", preview?.url],
    queryFn: ({ signal }) => bytesOf(server, preview ?? {}, signal),
    enabled: preview !== undefined,
    staleTime: Infinity,
  })
  return (
    <li>
      <UnstyledButton onClick={open} w="100%" className="row-link">
        <Center
          h={96} className="row"
          style={{ border: "1px solid var(--line)", borderRadius: 8, overflow: "hidden", background: "var(--paper)" }}
        >
          {small.data === undefined ? <Sign of={of} /> : <Picture of={small.data} alt="" fit="cover" />}
        </Center>
        <Text size="sm" fw={500} truncate mt={2}><VisuallyHidden>Open </VisuallyHidden>{titleOf(of)}</Text>
        <Text size="xs" c="dimmed" truncate>{[dateText(of.date), sizeText(file?.size)].filter(Boolean).join(" · ")}</Text>
      </UnstyledButton>
    </li>
  )
}

function Sign({ of }: { of: DocumentReference }) {
  const kind = viewOf(filesOf(of).file?.contentType)
  const Icon = isSealed(of) ? IconLock : kind === "image" ? IconPhoto : kind === "pdf" ? IconFileTypePdf : IconFile
  return <Icon size={32} stroke={1.2} aria-hidden />
}
