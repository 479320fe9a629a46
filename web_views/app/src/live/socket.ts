/** The one Socket.IO connection of a tab, with the token of the moment. Events: docs/realtime.md */

import { io, type Socket } from "socket.io-client"
import type { Session } from "../session/sign-in"

export type Answer = { ok: boolean; status?: number } & Record<string, unknown>

export function connect(session: Session, namespace = "/"): Socket {
  const socket = io(location.origin + namespace, {
    auth: (give) => void session.token().then((token) => give({ token }), () => give({})),
    transports: ["websocket"],
    reconnectionDelayMax: 5000,
  })
  socket.on("disconnect", (reason) => {
    // The server ended it: the token is over. With a fresh one it takes us back.
    if (reason === "io server disconnect") void session.token(true).then(() => socket.connect(), () => undefined)
  })
  socket.on("connect_error", (error: Error & { data?: { code?: string } }) => {
    if (error.data?.code === "login") void session.token(true).then(() => socket.connect(), () => undefined)
    else if (!socket.active) setTimeout(() => socket.connect(), 2000)
  })
  // The browser knows before the heartbeat does.
  window.addEventListener("offline", () => socket.disconnect())
  window.addEventListener("online", () => { if (!socket.active) socket.connect() })
  return socket
}
