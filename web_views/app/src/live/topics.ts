import type { Socket } from "socket.io-client"
import type { Session } from "../session/sign-in"
import { follow } from "./follow"

type Changed = (references: string[]) => void

/** The topics that a tab follows: each once, however many components listen; once begun it goes on with the tab. */
export class Topics {
  private readonly listeners = new Map<string, Set<Changed>>()

  constructor(
    private readonly session: Session,
    private readonly socket: Socket,
  ) {}

  listen(topic: string, changed: Changed): () => void {
    const listening = this.listeners.get(topic) ?? this.begin(topic)
    listening.add(changed)
    return () => void listening.delete(changed)
  }

  private begin(topic: string): Set<Changed> {
    const listening = new Set<Changed>()
    this.listeners.set(topic, listening)
    follow(this.session, this.socket, topic, (references) => listening.forEach((changed) => changed(references)))
    return listening
  }
}
