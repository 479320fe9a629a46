/** Files that were chosen and not sent: kept in this browser (IndexedDB), as drafts are. */

const NAME = "draft-files"
const STORE = "files"

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1)
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE)
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error ?? new Error("The browser keeps no files."))
  })
}

async function within<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open()
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode)
      const request = ask(transaction.objectStore(STORE))
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser has no room for this file."))
    })
  } finally {
    database.close()
  }
}

export const keepFile = (key: string, file: Blob) => within("readwrite", (store) => store.put(file, key))
export const keptFile = (key: string) =>
  within("readonly", (store) => store.get(key) as IDBRequest<Blob | undefined>)
export const forgetFile = (key: string) => within("readwrite", (store) => store.delete(key))

/** At sign-out. */
export const clearFiles = () => void indexedDB.deleteDatabase(NAME)
