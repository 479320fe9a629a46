import { Button, Text, UnstyledButton } from "@mantine/core"
import { IconDownload } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import type { Attachment } from "fhir/r4"
import { useEffect, useState } from "react"
import { keyOf } from "../../fhir/bundle"
import { words } from "../../fhir/outcome"
import { useMe } from "../../session/session"
import styles from "./discussion.module.css"
import { sizeText } from "./sizes"

const PICTURES = ["image/png", "image/jpeg", "image/webp", "image/gif"]

/** A file of a message: pictures are shown, everything is saved on demand and never opened in a page of ours. */
export function FileOf({ file }: { file: Attachment }) {
  const { server } = useMe()
  const [problem, setProblem] = useState<string>()
  const name = file.title ?? "File"
  const reference = keyOf(file.url)

  async function save() {
    setProblem(undefined)
    try {
      if (reference === undefined) throw new Error("This file is kept elsewhere.")
      const url = URL.createObjectURL(await server.bytes(reference))
      const link = Object.assign(document.createElement("a"), { href: url, download: name })
      link.click()
      setTimeout(() => URL.revokeObjectURL(url), 60_000)
    } catch (error) {
      setProblem(words(error))
    }
  }

  return (
    <div>
      {reference !== undefined && PICTURES.includes(file.contentType ?? "")
        ? <Picture reference={reference} name={name} save={() => void save()} />
        : (
          <Button
            mt={4} size="compact-sm" variant="default" maw="100%" onClick={() => void save()}
            leftSection={<IconDownload size={15} aria-hidden />}
          >
            {[name, sizeText(file.size)].filter(Boolean).join(" · ")}
          </Button>
        )}
      {problem !== undefined && <Text size="xs" className={styles.bad} role="alert">{problem}</Text>}
    </div>
  )
}

function Picture({ reference, name, save }: { reference: string; name: string; save: () => void }) {
  const { server } = useMe()
  const bytes = useQuery({
    queryKey: ["bytes", reference],
    queryFn: ({ signal }) => server.bytes(reference, signal),
    staleTime: Infinity,
  })
  const url = useObjectUrl(bytes.data)
  if (bytes.error) return <Text size="xs" className={styles.bad}>{name}: {words(bytes.error)}</Text>
  if (url === undefined) return <Text size="xs" c="dimmed">{name} …</Text>
  return (
    <UnstyledButton onClick={save} aria-label={`Save ${name}`}><img className={styles.picture} src={url} alt={name} /></UnstyledButton>
  )
}

function useObjectUrl(blob: Blob | undefined): string | undefined {
  const [url, setUrl] = useState<string>()
  useEffect(() => {
    if (blob === undefined) return
    const made = URL.createObjectURL(blob)
    // eslint-disable-next-line react-hooks/set-state-in-effect -- the address exists only from here to the clean-up
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [blob])
  return url
}
