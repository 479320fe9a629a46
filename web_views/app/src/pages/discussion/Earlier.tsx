import { Button, Center } from "@mantine/core"

type Paged = { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown }

/** The way back in time, a page at a time. */
export function Earlier({ of }: { of: Paged }) {
  if (!of.hasNextPage) return null
  return (
    <Center component="li">
      <Button size="xs" variant="default" loading={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>
        Show earlier messages
      </Button>
    </Center>
  )
}
