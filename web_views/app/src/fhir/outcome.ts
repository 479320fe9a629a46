import type { OperationOutcome } from "fhir/r4"

/** An answer that is no success: its status, and what the server says of it in its own words. */
export class FhirError extends Error {
  constructor(
    readonly status: number,
    readonly outcome?: OperationOutcome,
  ) {
    super(said(status, outcome))
    this.name = "FhirError"
  }
}

/** No answer at all: the connection is lost, or the server is away. */
export class Offline extends Error {
  constructor() {
    super("There is no connection to the server.")
    this.name = "Offline"
  }
}

/** The sign-in has ended and cannot be renewed. */
export class SignedOut extends Error {
  constructor() {
    super("Your sign-in has ended.")
    this.name = "SignedOut"
  }
}

const BY_STATUS: Record<number, string> = {
  403: "You may not do this.",
  404: "This is not there, or you may not see it.",
  410: "This was deleted.",
  412: "Somebody else has changed this meanwhile.",
  429: "Too many requests; try again in a moment.",
}

function said(status: number, outcome?: OperationOutcome): string {
  const texts = (outcome?.issue ?? [])
    .filter((issue) => issue.severity === "error" || issue.severity === "fatal")
    .map((issue) => issue.diagnostics ?? issue.details?.text)
    .filter((text) => text !== undefined)
  return texts.length > 0 ? texts.join(" ") : (BY_STATUS[status] ?? `The server answered ${status}.`)
}

/** What to tell a user of anything that was thrown. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : "Something went wrong."
}

/** The OperationOutcome that an answer is, if it is one. */
export function outcomeOf(text: string): OperationOutcome | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<OperationOutcome>
    return parsed.resourceType === "OperationOutcome" ? (parsed as OperationOutcome) : undefined
  } catch {
    return undefined
  }
}
