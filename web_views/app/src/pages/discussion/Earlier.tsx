import { Button, Center } from "@mantine/core"
import { useMore, type Paged } from "../../parts/useMore"

/** The way back in time, a page at a time. */
export function Earlier({ of }: { of: Paged }) {
  const { more, waiting } = useMore(of)
  if (!of.hasNextPage) return null
  return (
    <Center component="li">
      <Button size="xs" variant="default" loading={waiting} onClick={more}>Show earlier messages</Button>
    </Center>
  )
}
