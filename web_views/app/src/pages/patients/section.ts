import type { Patient } from "fhir/r4"
import type { ComponentType } from "react"

/** What a section or an action of the chart is given. */
export type OfChart = { patient: Patient }

/** A tab of the chart, found by its file: every `pages/<name>/of-chart.tsx` exports one as default. */
export type ChartSection = { title: string; order: number; Component: ComponentType<OfChart> }

/** An action of the chart's head, found by its file: every `pages/<name>/chart-action.tsx` exports this. */
export type ChartAction = { default: ComponentType<OfChart>; order: number }
