// What the logic needs of a browser: its languages, and its shelves. A whole DOM would take longer than all tests: few ask for one.

class Shelf {
  get length() {
    return Object.keys(this).length
  }
  key(place: number) {
    return Object.keys(this)[place] ?? null
  }
  getItem(key: string): string | null {
    return Object.prototype.hasOwnProperty.call(this, key) ? String(Reflect.get(this, key)) : null
  }
  setItem(key: string, value: string) {
    Object.defineProperty(this, key, { value, enumerable: true, configurable: true, writable: true })
  }
  removeItem(key: string) {
    Reflect.deleteProperty(this, key)
  }
  clear() {
    Object.keys(this).forEach((key) => this.removeItem(key))
  }
}

const browser = { languages: ["en-GB"], language: "en-GB", onLine: true }
const given = typeof document === "undefined" ? { navigator: browser, localStorage: new Shelf(), sessionStorage: new Shelf() } : {}
for (const [name, value] of Object.entries(given))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
 