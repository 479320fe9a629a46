/** Files on their way: they go on while one looks at other parts of the app, and can be tried again. */

import type { Encounter } from "fhir/r4"
import { useCallback, useEffect, useSyncExternalStore } from "react"
import { useRefresh } from "../../fhir/hooks"
import { words } from "../../fhir/outcome"
import { useMe } from "../../session/session"
import { BASE } from "../../session/sign-in"
import { documented } from "./document"
import { once } from "./opening"
import { sendBytes } from "./upload"

export type Upload = {
  id: string // the document's, so that it is made once
  of: string // "Encounter/1"
  file: File
  share: number // from 0 to 1
  binary?: string // once the bytes are there
  problem?: string
}

let uploads: Upload[] = []
const listeners = new Set<() => void>()

function store(next: Upload[]) {
  uploads = next
  listeners.forEach((listener) => listener())
}
const change = (id: string, part: Partial<Upload>) => store(uploads.map((one) => (one.id === id ? { ...one, ...part } : one)))
const drop = (id: string) => store(uploads.filter((one) => one.id !== id))
const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/** The files of a case that are on their way; `add` sends more. */
export function useUploads(encounter: Encounter) {
  const { server, token, user } = useMe()
  const refresh = useRefresh()
  const all = useSyncExternalStore(subscribe, () => uploads)
  const of = `Encounter/${encounter.id ?? ""}`

  const send = useCallback(async (upload: Upload) => {
    change(upload.id, { problem: undefined })
    try {
      const progress = (share: number) => change(upload.id, { share })
      const binary = upload.binary ?? (await sendBytes(BASE, token, { file: upload.file, context: of, progress }))
      change(upload.id, { binary, share: 1 })
      await server.create(documented({ ...upload, binary }, encounter, user), once(upload.id))
      await refresh("DocumentReference")
      drop(upload.id)
    } catch (error) {
      change(upload.id, { problem: words(error) })
    }
  }, [server, token, user, refresh, encounter, of])

  const add = (files: Iterable<File>) => {
    const fresh = [...files].map((file): Upload => ({ id: crypto.randomUUID(), of, file, share: 0 }))
    store([...uploads, ...fresh])
    void fresh.reduce((before, one) => before.then(() => send(one)), Promise.resolve())
  }
  return { uploads: all.filter((one) => one.of === of), add, again: (one: Upload) => void send(one), drop }
}

/** The browser asks before it throws away what is on its way. */
export function useLeaveWarning(busy: boolean) {
  useEffect(() => {
    if (!busy) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener("beforeunload", ask)
    return () => removeEventListener("beforeunload", ask)
  }, [busy])
}
