import type { Communication } from "fhir/r4"
import { createContext, useContext, type RefCallback } from "react"
import type { Reads } from "./reading"

/** What every message of a discussion needs to know of it. */
export type Talk = {
  known: ReadonlyMap<string, Communication> // by id: messages and what they answer
  reads: Reads
  mine: readonly string[] // the references that are me
  isWaiting: (message: Communication) => boolean // for me to read it
  watch: (id: string) => RefCallback<HTMLElement>
  answer: (message: Communication) => void
  show: (id: string) => void // scroll to it
}

export const TalkContext = createContext<Talk | undefined>(undefined)

export function useTalk(): Talk {
  const talk = useContext(TalkContext)
  if (talk === undefined) throw new Error("Outside of a discussion.")
  return talk
}
