import { useState, useSyncExternalStore } from "react"

/** A value of this browser that all its tabs and components share, in local storage. */
export class Shelf<T> {
  private text: string | null
  private value: T | undefined

  constructor(private readonly key: string) {
    this.text = localStorage.getItem(key)
    this.value = parsed<T>(this.text)
  }

  readonly get = () => this.value

  set(value: T): void {
    const newValue = JSON.stringify(value)
    localStorage.setItem(this.key, newValue)
    // Other tabs hear of it from the browser, this one from here.
    window.dispatchEvent(new StorageEvent("storage", { key: this.key, newValue }))
  }

  readonly listen = (changed: () => void) => {
    const hear = ({ key, newValue }: StorageEvent) => {
      if (key !== this.key || newValue === this.text) return
      this.text = newValue
      this.value = parsed<T>(newValue)
      changed()
    }
    window.addEventListener("storage", hear)
    return () => window.removeEventListener("storage", hear)
  }
}

function parsed<T>(text: string | null): T | undefined {
  try {
    return text === null ? undefined : (JSON.parse(text) as T)
  } catch {
    return undefined
  }
}

export function useShelf<T>(key: string): [T | undefined, Shelf<T>] {
  const [shelf] = useState(() => new Shelf<T>(key))
  return [useSyncExternalStore(shelf.listen, shelf.get), shelf]
}
