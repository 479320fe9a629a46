import { Alert, Button, Center, Loader, Paper, Skeleton, Stack, Text } from "@mantine/core"
import { IconAlertTriangle, IconWifiOff } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { Offline, words } from "../fhir/outcome"
import { useMore, type Paged } from "./useMore"

export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <Stack gap="xs" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => <Skeleton key={row} height={56} radius="md" />)}
    </Stack>
  )
}

export const Waiting = ({ label = "Loading" }: { label?: string }) => (
  <Center py="xl" role="status" aria-label={label}><Loader /></Center>
)

/** What went wrong, in the server's words, and how to go on. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const offline = error instanceof Offline
  return (
    <Alert
      color={offline ? "gray" : "red"}
      icon={offline ? <IconWifiOff /> : <IconAlertTriangle />}
      title={offline ? "No connection" : "This did not work"}
      role="alert"
    >
      <Stack gap="xs" align="start">
        <Text size="sm">{words(error)}</Text>
        {retry !== undefined && <Button size="xs" variant="default" onClick={retry}>Try again</Button>}
      </Stack>
    </Alert>
  )
}

/** Nothing there, and what to do about it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Paper p="xl">
      <Stack align="center" gap={4}>
        <Text fw={600}>{title}</Text>
        {children !== undefined && <Text c="dimmed" size="sm" ta="center">{children}</Text>}
        {action}
      </Stack>
    </Paper>
  )
}

type Asked<T> = { data?: T; error: unknown; isPending: boolean; refetch: () => unknown }

/** A query's three faces: waiting, failed, there. */
export function Show<T>({ of, rows, children }: { of: Asked<T>; rows?: number; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>
  if (of.error) return <Failure error={of.error} retry={() => void of.refetch()} />
  return <Loading rows={rows} />
}

/** The rest of a long list, a page at a time. */
export function More({ of }: { of: Paged }) {
  const { more, waiting } = useMore(of)
  if (!of.hasNextPage) return null
  return (
    <Center mt="md">
      <Button variant="default" loading={waiting} onClick={more}>Show more</Button>
    </Center>
  )
}
