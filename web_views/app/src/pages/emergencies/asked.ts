import { useSyncExternalStore } from "react"

/** For whom the dialog is open. `turn` is another one each time it opens. */
export type Asked = { patient?: string; encounter?: string; turn: number }

let asked: Asked | undefined
let turn = 0
const listeners = new Set<() => void>()

function set(next: Asked | undefined): void {
  asked = next
  listeners.forEach((changed) => changed())
}

function listen(changed: () => void): () => void {
  listeners.add(changed)
  return () => void listeners.delete(changed)
}

/** Open the dialog of the top line, from wherever one is. */
export const raiseFor = (about: { patient?: string; encounter?: string }) => set({ ...about, turn: ++turn })
export const closeDialog = () => set(undefined)
export const useAsked = () => useSyncExternalStore(listen, () => asked)
