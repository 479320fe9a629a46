// Where a browser keeps its private keys, which nothing can take out, and whose public keys it has seen.

import type { JWK } from "jose"

/** A key pair of this browser; the private half can be used, not read. */
export interface OwnKey {
  kid: string
  person: string
  privateKey: CryptoKey
  jwk: JWK
  created: string
}

export interface Shelf {
  keys(): Promise<OwnKey[]>
  keep(key: OwnKey): Promise<void>
  /** The thumbprints of a person's keys that were taken before; undefined when there were none. */
  known(person: string): Promise<string[] | undefined>
  know(person: string, kids: string[]): Promise<void>
}

/** In IndexedDB: until the browser's data is cleared. */
export async function browserShelf(name = "end-to-end"): Promise<Shelf> {
  const opening = indexedDB.open(name, 1)
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore("keys", { keyPath: "kid" })
    opening.result.createObjectStore("known")
  }
  const database = await done(opening)
  const reading = (store: string) => database.transaction(store).objectStore(store)
  const writing = (store: string) => database.transaction(store, "readwrite").objectStore(store)
  return {
    keys: () => done(reading("keys").getAll() as IDBRequest<OwnKey[]>),
    keep: async (key) => void (await done(writing("keys").put(key))),
    known: (person) => done(reading("known").get(person) as IDBRequest<string[] | undefined>),
    know: async (person, kids) => void (await done(writing("known").put(kids, person))),
  }
}

/** In memory: for tests, and programs without a browser. */
export function memoryShelf(): Shelf {
  const keys = new Map<string, OwnKey>()
  const known = new Map<string, string[]>()
  return {
    keys: async () => [...keys.values()],
    keep: async (key) => void keys.set(key.kid, key),
    known: async (person) => known.get(person),
    know: async (person, kids) => void known.set(person, kids),
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
