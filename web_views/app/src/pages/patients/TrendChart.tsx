import { Paper, Text } from "@mantine/core"
import { CartesianGrid, Legend, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts"
import { dateText, momentText, timeText } from "../../words/dates"
import type { Point, Series } from "../../words/values"

const COLOURS = ["var(--mantine-color-anchor)", "var(--mantine-color-grape-5)", "var(--mantine-color-orange-6)"]
const DAY = 86_400_000
const iso = (time: number) => new Date(time).toISOString()

/** Lines over time; loaded only where there is something to draw. */
export default function TrendChart({ title, points, series }: { title: string; points: Point[]; series: Series[] }) {
  const unit = series[0]?.unit ?? ""
  const times = points.map(({ time }) => time)
  const ofOneDay = Math.max(...times) - Math.min(...times) < DAY
  const quiet = { stroke: "var(--mantine-color-dimmed)", fontSize: 12 }
  return (
    <Paper p="sm" component="figure" m={0} aria-label={`${title} over time, in ${unit}; the values are in the table below`}>
      {unit !== "" && <Text size="xs" c="dimmed" aria-hidden>{unit}</Text>}
      <ResponsiveContainer width="100%" height={280}>
        <LineChart data={points} margin={{ top: 8, right: 16, bottom: 0, left: 0 }} accessibilityLayer={false}>
          <CartesianGrid stroke="var(--line)" vertical={false} />
          <XAxis
            dataKey="time" type="number" scale="time" domain={["dataMin", "dataMax"]} {...quiet}
            tickFormatter={(time: number) => (ofOneDay ? timeText : dateText)(iso(time))} minTickGap={60}
          />
          <YAxis domain={["auto", "auto"]} width={44} {...quiet} />
          <Tooltip
            labelFormatter={(time) => momentText(iso(Number(time)))}
            contentStyle={{ background: "var(--mantine-color-body)", border: "1px solid var(--line)", borderRadius: 8 }}
          />
          {series.length > 1 && <Legend />}
          {series.map(({ name }, place) => (
            <Line
              key={name} dataKey={name} stroke={COLOURS[place % COLOURS.length]} strokeWidth={2}
              dot={points.length < 60} isAnimationActive={false} connectNulls
            />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </Paper>
  )
}
