import { Button, Text } from "@mantine/core"
import { notifications } from "@mantine/notifications"
import type { Encounter } from "fhir/r4"
import { useEffect, useRef } from "react"
import { words } from "../../fhir/outcome"
import { Confirm } from "../../parts/Confirm"
import { focusTitle } from "../../parts/Page"
import { useMe } from "../../session/session"
import { CancelCase } from "./CancelCase"
import { joining, patchOf, stepsFrom, type Step } from "./case"
import { patched, useChange, useMyPart } from "./useCase"

const GONE = 400 // ms: until a dialog has given the focus back

/** What can be done with the case as it stands: only what the server allows this user. */
export function StatusSteps({ encounter }: { encounter: Encounter }) {
  const { user } = useMe()
  const { free, works } = useMyPart(encounter)
  const change = useChange(encounter)
  const steps = stepsFrom(encounter.status)
  const before = useRef(encounter.status)
  useEffect(() => {
    if (before.current === encounter.status) return
    before.current = encounter.status
    const timer = setTimeout(focusTitle, GONE) // the button of the step that was taken is not there any more
    return () => clearTimeout(timer)
  }, [encounter.status])
  if (steps.length === 0 || !works) return null

  const take = (step: Step) => change.mutateAsync(patched(encounter, patchOf(encounter, step)))
  const refused = (error: unknown) =>
    notifications.show({ color: "red", title: "The case stays as it is", message: words(error) })

  return (
    <>
      {free && (
        <Button
          loading={change.isPending}
          onClick={() => change.mutate(patched(encounter, joining(encounter, user)), { onError: refused })}
        >
          Join the case
        </Button>
      )}
      {steps.map((step, place) => {
        if (step.to === "cancelled") return <CancelCase key={step.to} encounter={encounter} step={step} />
        const look = place === 0 && !free ? "filled" : "default"
        if (!step.ends)
          return (
            <Button
              key={step.to} variant={look} loading={change.isPending}
              onClick={() => void take(step).catch(refused)}
            >
              {step.label}
            </Button>
          )
        return (
          <Confirm
            key={step.to} label={step.label} title="Finish this case?" confirm="Finish case" variant={look}
            act={() => take(step)}
          >
            <Text size="sm">Those who work on it are told. A finished case is not opened again.</Text>
            {encounter.diagnosis === undefined && <Text size="sm" fw={600}>No diagnosis was recorded.</Text>}
          </Confirm>
        )
      })}
    </>
  )
}
