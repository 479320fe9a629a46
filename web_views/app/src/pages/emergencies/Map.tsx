import "leaflet/dist/leaflet.css"
import { circle, circleMarker, control, map as mapIn, polyline, type LatLngExpression } from "leaflet"
import { useEffect, useRef } from "react"
import { distanceText, type Point } from "./earth"

const RINGS_M = [50, 100, 250, 500, 1000, 2500, 5000, 10_000]
const LABELLED_M = 100
const METRES_A_DEGREE = 111_320 // of latitude
const at = ({ latitude, longitude }: Point): LatLngExpression => [latitude, longitude]

/** A plain map: the place, how exact it is, rings of distance, a scale, and where one is oneself. North is up. */
export default function Map({ at: place, own }: { at: Point & { accuracy?: number }; own?: Point }) {
  const frame = useRef<HTMLDivElement>(null)
  const { latitude, longitude, accuracy } = place
  useEffect(() => {
    if (frame.current === null) return
    const here = { latitude, longitude }
    const map = mapIn(frame.current, { attributionControl: false, scrollWheelZoom: false }).setView(at(here), 16)
    control.scale().addTo(map)
    const ink = { color: "var(--mantine-color-dimmed)", weight: 1, fill: false, interactive: false }
    for (const radius of RINGS_M) {
      circle(at(here), { ...ink, radius, dashArray: "3 5" }).addTo(map)
      if (radius < LABELLED_M) continue
      const top = { longitude, latitude: latitude + radius / METRES_A_DEGREE }
      circleMarker(at(top), { ...ink, radius: 0, stroke: false })
        .bindTooltip(distanceText(radius), { permanent: true, direction: "center", opacity: 0.9 }).addTo(map)
    }
    if (accuracy !== undefined)
      circle(at(here), { radius: accuracy, color: "var(--mantine-color-red-filled)", weight: 1, fillOpacity: 0.15 }).addTo(map)
    circleMarker(at(here), { radius: 7, color: "var(--mantine-color-red-filled)", fillOpacity: 1 })
      .bindTooltip("Emergency", { permanent: true, direction: "right", offset: [8, 0] }).addTo(map)
    if (own !== undefined) {
      polyline([at(own), at(here)], { ...ink, color: "var(--mantine-color-blue-filled)", weight: 2 }).addTo(map)
      circleMarker(at(own), { radius: 7, color: "var(--mantine-color-blue-filled)", fillOpacity: 1 })
        .bindTooltip("You", { permanent: true, direction: "left", offset: [-8, 0] }).addTo(map)
      map.fitBounds([[latitude, longitude], [own.latitude, own.longitude]], { padding: [40, 40], maxZoom: 17 })
    }
    return () => void map.remove()
  }, [latitude, longitude, accuracy, own])
  return (
    <div
      ref={frame} role="region" aria-label="Map of the place, without streets, north up"
      style={{ height: 320, borderRadius: 8, border: "1px solid var(--line)", background: "var(--paper)", zIndex: 0 }}
    />
  )
}
