import { Button, Group, Text } from "@mantine/core"
import { IconCheck, IconMapPinFilled, IconRun, IconX } from "@tabler/icons-react"
import { useState } from "react"
import { keyOf } from "../../fhir/bundle"
import { useRefresh } from "../../fhir/hooks"
import { words } from "../../fhir/outcome"
import { Confirm } from "../../parts/Confirm"
import { useMe } from "../../session/session"
import { isActive, partOf, progressOf, type Emergency } from "./emergency"
import { answer, answersFrom, end, type Answer } from "./respond"

const LOOK: Record<Answer, { label: string; icon: typeof IconRun; strong?: boolean }> = {
  "en-route": { label: "I am coming", icon: IconRun, strong: true },
  "on-scene": { label: "I am on the scene", icon: IconMapPinFilled, strong: true },
  finished: { label: "My part is done", icon: IconCheck },
  declined: { label: "I cannot come", icon: IconX },
}

/** What one can do about it: answer for oneself; end it when one has to do with it, or `all` to let the server say. */
export function Actions({ of, all = false }: { of: Emergency; all?: boolean }) {
  const { server, user } = useMe()
  const refresh = useRefresh()
  const [busy, setBusy] = useState<Answer>()
  const [problem, setProblem] = useState<string>()
  const progress = progressOf(partOf(of, user))
  const concerned = all || keyOf(of.flag.author) === user || (progress !== undefined && progress !== "declined")

  async function say(wanted: Answer) {
    setBusy(wanted)
    setProblem(undefined)
    try {
      await answer(server, user, of, wanted)
    } catch (error) {
      setProblem(words(error))
    }
    await refresh("Flag")
    setBusy(undefined)
  }

  /** A refusal shows in the dialog, and stays when the dialog is gone because things have moved on. */
  const finish = (status: "inactive" | "entered-in-error") => async () => {
    setProblem(undefined)
    try {
      await end(server, of.flag, status)
    } catch (error) {
      setProblem(words(error))
      throw error
    } finally {
      void refresh("Flag")
    }
  }

  return (
    <>
      {isActive(of) && <Group gap="xs">
        {answersFrom(progress).map((wanted) => {
          const { label, icon: Icon, strong } = LOOK[wanted]
          return (
            <Button
              key={wanted} size="xs" variant={strong ? "filled" : "default"} leftSection={<Icon size={16} aria-hidden />}
              loading={busy === wanted} disabled={busy !== undefined && busy !== wanted} onClick={() => void say(wanted)}
            >
              {label}
            </Button>
          )
        })}
        {concerned && (
          <>
            <Confirm label="Resolve" size="xs" variant="default" title="Resolve this emergency?" confirm="It is over" act={finish("inactive")}>
              <Text size="sm">It ends for everybody, and those who are on the way need not come. It does not begin again.</Text>
            </Confirm>
            <Confirm label="Entered in error" size="xs" variant="subtle" title="Was it entered in error?" confirm="Entered in error" danger act={finish("entered-in-error")}>
              <Text size="sm">It ends for everybody, and stays in the record as an error.</Text>
            </Confirm>
          </>
        )}
      </Group>}
      {problem !== undefined && <Text size="sm" c="red" role="alert">{problem}</Text>}
    </>
  )
}
