// Users of Socket.IO, several in one script: each step names who acts.
import { io } from 'socket.io-client'
import { journey } from './journey.mjs'

const users = {} // name → { socket, heard: [{ event, data }] }
let waiting = []

function listen(socket, name, namespace) {
  socket.onAny((event, data, acknowledge) => {
    users[name].heard.push({ event, data: data ?? null, namespace })
    if (typeof acknowledge === 'function') acknowledge()
    waiting = waiting.filter((one) => !one())
  })
}

await journey({
  connect({ name, url, token, namespace = '/', transports }) {
    const socket = io(url + namespace, { auth: { token }, transports, reconnection: false, forceNew: true })
    users[name] = { socket, heard: [] }
    listen(socket, name, namespace)
    socket.on('disconnect', (reason) => {
      users[name].heard.push({ event: 'disconnected', data: reason, namespace })
      waiting = waiting.filter((one) => !one())
    })
    return new Promise((done) => {
      socket.on('connect', () => done({ connected: true }))
      socket.on('connect_error', (error) => done({ connected: false, message: error.message, data: error.data ?? null }))
    })
  },
  ask: ({ name, event, data }) => users[name].socket.timeout(60000).emitWithAck(event, data),
  hears: ({ name, event, count = 1 }) =>
    new Promise((done, fail) => {
      const found = () => users[name].heard.filter((one) => one.event === event).map((one) => one.data)
      const look = () => found().length >= count && (clearTimeout(timer), done(found()), true)
      const timer = setTimeout(() => fail(new Error(`${name} hears no ${event}`)), 60000)
      if (!look()) waiting.push(look)
    }),
  heard: ({ name }) => users[name].heard.map((one) => one.event),
})
for (const { socket } of Object.values(users)) socket.disconnect()
