import { Button } from "@mantine/core"
import { IconApps } from "@tabler/icons-react"
import { Link } from "react-router"
import type { OfChart } from "../patients/section"

export const order = 90

/** To the gallery, with this patient in mind. */
export default function OpenApp({ patient }: OfChart) {
  return (
    <Button component={Link} to={`/apps?patient=${patient.id ?? ""}`} variant="default" leftSection={<IconApps size={18} aria-hidden />}>
      Apps
    </Button>
  )
}
