import { Portal, Stack } from "@mantine/core"
import type { ReactNode } from "react"

/** In the corner where pages have no buttons, over everything: what has to be seen wherever one is. */
export const Corner = ({ label, children }: { label: string; children: ReactNode }) => (
  <Portal>
    <Stack
      component="section" aria-label={label} gap="xs" className="no-print"
      style={{ position: "fixed", bottom: 12, left: 8, width: "min(400px, calc(100vw - 16px))", zIndex: 300 }}
    >
      {children}
    </Stack>
  </Portal>
)
