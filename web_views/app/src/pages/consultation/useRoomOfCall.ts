import type { Encounter } from "fhir/r4"
import { useEffect, useEffectEvent, useState, useSyncExternalStore } from "react"
import { connect } from "../../live/socket"
import { useMe } from "../../session/session"
import { Call } from "./call"
import { entered, left } from "./calls"
import { Media, shownOf, tracksOf, type Wanted } from "./media"
import { record } from "./record"

/** Being in a call as long as this is shown: devices, room, and the record of who was there. */
export function useRoomOfCall(encounter: Encounter, ice: RTCIceServer[], wanted: Wanted) {
  const me = useMe()
  const [media] = useState(() => new Media())
  const [call] = useState(() => new Call(connect(me, "/consultation"), encounter.id ?? "", me.user, ice))
  const state = useSyncExternalStore(media.subscribe, media.state)
  const room = useSyncExternalStore(call.subscribe, call.state)
  const mine = [me.user, ...me.roles]

  const begin = useEffectEvent(() => {
    void media.start(wanted).then(() => call.start(tracksOf(media.state()), shownOf(media.state())))
    // Who may not write it down may still talk.
    void record(me.server, encounter, (now) => entered(now, mine, new Date().toISOString())).catch(() => undefined)
  })
  const end = useEffectEvent(() => {
    const isAlone = call.state().phase === "in" && call.state().others.length === 0
    media.stop()
    call.leave()
    void record(me.server, encounter, (now) => left(now, mine, isAlone, new Date().toISOString())).catch(() => undefined)
  })
  useEffect(() => {
    begin()
    return () => end()
  }, [])

  useEffect(() => {
    if (state.isReady) void call.show(tracksOf(state), shownOf(state))
  }, [call, state])

  return { media, state, room }
}
