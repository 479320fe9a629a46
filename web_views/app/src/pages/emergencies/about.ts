import type { Asked } from "./asked"

/** Whom the page is about, by its address: "/patients/1" a patient, "/cases/2" a case. */
export function aboutOf(pathname: string): Omit<Asked, "turn"> {
  const [, page, id] = pathname.split("/")
  if (id === undefined || id === "" || id === "new") return {}
  if (page === "patients") return { patient: `Patient/${id}` }
  return page === "cases" ? { encounter: `Encounter/${id}` } : {}
}
