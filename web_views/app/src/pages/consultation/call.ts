/** The room of a call: who is in it, and a line to each of them. Signals: docs/realtime.md, namespace /consultation. */

import type { Socket } from "socket.io-client"
import type { Answer } from "../../live/socket"
import { Peer, type Link, type Signal, type Tracks } from "./peer"

export type Shown = { audio: boolean; video: boolean; screen: boolean }
export type Other = { user: string; socket: string; shown: Shown; link: Link; stream?: MediaStream }
export type Room = { phase: "joining" | "in" | "lost" | "refused"; others: Other[] }

type Person = { roomId: string; userId: string; socketId: string }
type From = { roomId: string; fromUserId: string; fromSocketId: string }
type Member = { user: string; socket: string; peer?: Peer }
const HIDDEN: Shown = { audio: false, video: false, screen: false }

export class Call {
  private room: Room = { phase: "joining", others: [] }
  private readonly members = new Map<string, Member>()
  private readonly looks = new Map<string, Shown>() // of a user, who may tell before I know that they are here
  private readonly listeners = new Set<() => void>()
  private tracks: Tracks = { audio: null, video: null }
  private shown: Shown = HIDDEN

  constructor(
    private readonly socket: Socket,
    private readonly id: string,
    private readonly me: string,
    private readonly ice: RTCIceServer[],
  ) {}

  state = (): Room => this.room

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Come in, with what there is to hear and see. */
  start(tracks: Tracks, shown: Shown): void {
    this.tracks = tracks
    this.shown = shown
    const { socket } = this
    socket.on("connect", this.join)
    socket.on("disconnect", () => this.tell("lost"))
    socket.on("room-joined", ({ participants }: { participants: Person[] }) => this.arrive(participants))
    socket.on("user-joined", (told: Person) => this.meet(told))
    socket.on("user-left", ({ userId }: Person) => this.drop(userId))
    socket.on("user-media-changed", ({ userId, mediaState }: Person & { mediaState: Partial<Shown> }) =>
      this.look(userId, mediaState))
    socket.on("user-screen-share-started", ({ userId }: Person) => this.look(userId, { screen: true }))
    socket.on("user-screen-share-stopped", ({ userId }: Person) => this.look(userId, { screen: false }))
    for (const name of ["offer", "answer", "candidate"] as const)
      socket.on(name === "candidate" ? "webrtc-ice-candidate" : `webrtc-${name}`, (told: From) => void this.hear(told, name))
    if (socket.connected) this.join()
    else if (!socket.active) socket.connect() // to ask twice while the first is under way is refused, for good
  }

  /** Other things to hear and see. */
  async show(tracks: Tracks, shown: Shown): Promise<void> {
    const { screen } = this.shown
    this.tracks = tracks
    this.shown = shown
    const lines = [...this.members.values()].flatMap(({ peer }) => peer ?? [])
    await Promise.all(lines.map((line) => line.show(tracks)))
    if (this.room.phase !== "in") return
    if (screen !== shown.screen) this.socket.emit(shown.screen ? "start-screen-share" : "stop-screen-share", { roomId: this.id })
    this.sign()
  }

  /** Go: the others hear it at once. */
  leave(): void {
    this.listeners.clear()
    for (const { peer } of this.members.values()) peer?.close()
    this.members.clear()
    this.socket.emit("leave-room", { roomId: this.id })
    this.socket.off()
    this.socket.disconnect()
  }

  private readonly join = (): void => {
    this.socket.emit("join-room", { roomId: this.id }, (answer: Answer) => {
      if (!answer.ok) this.tell("refused")
    })
  }

  /** I am in: whoever was there before is called. */
  private arrive(participants: Person[]): void {
    for (const user of [...this.members.keys()]) this.forget(user)
    for (const one of participants) if (one.userId !== this.me) this.call(one)
    this.tell("in")
    this.sign()
  }

  private call(one: Person): void {
    const member = this.know(one.userId, one.socketId)
    member.peer = this.line(member)
    void member.peer.call().catch(() => this.tell())
  }

  /** Somebody has come, and will call. */
  private meet({ userId, socketId }: Person): void {
    if (userId === this.me) return
    this.know(userId, socketId)
    this.sign() // who comes learns what I show
    this.tell()
  }

  private know(user: string, socket: string): Member {
    this.forget(user)
    const member: Member = { user, socket }
    this.members.set(user, member)
    return member
  }

  private line(member: Member): Peer {
    const send = (signal: Signal) => this.signal(member, signal)
    return new Peer(this.ice, this.tracks, send, () => this.tell())
  }

  /** A user may have several windows in the room: `to` says which one is meant. */
  private signal({ user, socket }: Member, signal: Signal): void {
    const to = { roomId: this.id, targetUserId: user }
    if ("candidate" in signal) this.socket.emit("webrtc-ice-candidate", { ...to, candidate: { ...signal.candidate, to: socket } })
    else if ("offer" in signal) this.socket.emit("webrtc-offer", { ...to, offer: { ...signal.offer, to: socket } })
    else this.socket.emit("webrtc-answer", { ...to, answer: { ...signal.answer, to: socket } })
  }

  private async hear(told: From, name: "offer" | "answer" | "candidate"): Promise<void> {
    const { to, ...what } = (told as From & Record<typeof name, { to?: string }>)[name]
    if (told.fromUserId === this.me || (to !== undefined && to !== this.socket.id)) return
    let member = this.members.get(told.fromUserId)
    if (member?.socket !== told.fromSocketId) {
      if (name !== "offer") return
      member = this.know(told.fromUserId, told.fromSocketId)
    }
    member.peer ??= this.line(member)
    await member.peer.take({ [name]: what } as Signal).catch(() => undefined) // of a line that was closed meanwhile
    this.tell()
  }

  private look(user: string, shown: Partial<Shown>): void {
    this.looks.set(user, { ...(this.looks.get(user) ?? HIDDEN), ...shown })
    this.tell()
  }

  private drop(user: string): void {
    this.forget(user)
    this.looks.delete(user)
    this.tell()
  }

  private forget(user: string): void {
    this.members.get(user)?.peer?.close()
    this.members.delete(user)
  }

  private sign(): void {
    this.socket.emit("media-state-changed", { roomId: this.id, mediaState: this.shown })
  }

  private tell(phase: Room["phase"] = this.room.phase): void {
    const others = [...this.members.values()].map(({ user, socket, peer }): Other => ({
      user, socket, shown: this.looks.get(user) ?? HIDDEN, link: peer?.link ?? "connecting", stream: peer?.stream,
    }))
    this.room = { phase, others }
    this.listeners.forEach((listener) => listener())
  }
}
