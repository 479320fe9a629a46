// A subscriber on Socket.IO that may lose its connection at any moment: it names its last event when it comes back.
import { io } from 'socket.io-client'
import { journey } from './journey.mjs'

const events = [] // { number, focus } in the order they came
const refused = []
let socket, subscription
let last = 0
let waiting = null

function take(bundle, acknowledge) {
  const parameters = bundle.entry[0].resource.parameter
  for (const event of parameters.filter((one) => one.name === 'notification-event')) {
    const part = Object.fromEntries(event.part.map((one) => [one.name, one]))
    last = Number(part['event-number'].valueString)
    events.push({ number: last, focus: part.focus?.valueReference.reference ?? null })
  }
  if (typeof acknowledge === 'function') acknowledge()
  if (waiting && events.length >= waiting.count) waiting.done()
}

async function join() {
  const answer = await socket.timeout(60000).emitWithAck('subscription:join', { subscription, after: last })
  if (!answer.ok) refused.push(answer)
}

await journey({
  async connect({ url, token, id }) {
    subscription = id
    socket = io(url, { auth: { token }, reconnectionDelay: 50, reconnectionDelayMax: 500, timeout: 5000 })
    socket.on('subscription:event', take)
    let first
    const joined = new Promise((done) => (first = done))
    socket.on('connect', () => join().then(first, () => first()))
    await joined
    return refused
  },
  // The connection breaks, and comes back by itself.
  drop() {
    socket.io.engine.close()
  },
  leave() {
    socket.disconnect()
  },
  back() {
    socket.connect()
  },
  async wait({ count, seconds }) {
    if (events.length < count)
      await new Promise((done, fail) => {
        const timer = setTimeout(() => fail(new Error(`only ${events.length} events, the last ${last}`)), seconds * 1000)
        waiting = { count, done: () => (clearTimeout(timer), done()) }
      })
    return events
  },
  count: () => events.length,
  refused: () => refused,
})
socket?.disconnect()
