/** The line to one other browser of the call: https://www.w3.org/TR/webrtc/ */

export type Link = "connecting" | "connected" | "lost"
export type Signal = { offer: RTCSessionDescriptionInit } | { answer: RTCSessionDescriptionInit } | { candidate: RTCIceCandidateInit }
export type Tracks = { audio: MediaStreamTrack | null; video: MediaStreamTrack | null }

/**
 * One line for sound and one for a picture, agreed on once; camera, screen and silence change what runs in them.
 * So who came last makes the offer, and offers never cross.
 */
export class Peer {
  readonly stream = new MediaStream()
  link: Link = "connecting"
  private readonly connection: RTCPeerConnection
  private readonly early: RTCIceCandidateInit[] = []
  private isCaller = false

  constructor(
    ice: RTCIceServer[],
    private tracks: Tracks,
    private readonly send: (signal: Signal) => void,
    private readonly changed: () => void,
  ) {
    const connection = new RTCPeerConnection({ iceServers: ice })
    this.connection = connection
    connection.ontrack = ({ track }) => {
      this.stream.addTrack(track)
      changed()
    }
    connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null) send({ candidate: candidate.toJSON() })
    }
    connection.onconnectionstatechange = () => {
      this.link = linkOf(connection.connectionState)
      if (connection.connectionState === "failed" && this.isCaller) void this.offer({ iceRestart: true })
      changed()
    }
  }

  async call(): Promise<void> {
    this.isCaller = true
    this.connection.addTransceiver(this.tracks.audio ?? "audio", { direction: "sendrecv" })
    this.connection.addTransceiver(this.tracks.video ?? "video", { direction: "sendrecv" })
    await this.offer()
  }

  async take(signal: Signal): Promise<void> {
    if ("candidate" in signal) {
      if (this.connection.remoteDescription === null) this.early.push(signal.candidate)
      else await this.connection.addIceCandidate(signal.candidate)
      return
    }
    await this.connection.setRemoteDescription("offer" in signal ? signal.offer : signal.answer)
    for (const candidate of this.early.splice(0)) await this.connection.addIceCandidate(candidate)
    if ("offer" in signal) await this.answer()
  }

  /** Other things to hear and see from now on. */
  async show(tracks: Tracks): Promise<void> {
    this.tracks = tracks
    for (const { sender, receiver } of this.connection.getTransceivers())
      await sender.replaceTrack(receiver.track.kind === "audio" ? tracks.audio : tracks.video)
  }

  close(): void {
    this.connection.onconnectionstatechange = null
    this.connection.close()
  }

  private async offer(options?: RTCOfferOptions): Promise<void> {
    await this.connection.setLocalDescription(await this.connection.createOffer(options))
    const { localDescription } = this.connection
    if (localDescription !== null) this.send({ offer: plain(localDescription) })
  }

  private async answer(): Promise<void> {
    for (const transceiver of this.connection.getTransceivers()) transceiver.direction = "sendrecv"
    await this.show(this.tracks)
    await this.connection.setLocalDescription(await this.connection.createAnswer())
    const { localDescription } = this.connection
    if (localDescription !== null) this.send({ answer: plain(localDescription) })
    this.changed()
  }
}

const plain = ({ type, sdp }: RTCSessionDescription): RTCSessionDescriptionInit => ({ type, sdp })

function linkOf(state: RTCPeerConnectionState): Link {
  if (state === "connected") return "connected"
  return state === "failed" || state === "disconnected" || state === "closed" ? "lost" : "connecting"
}
