import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core"

// The accent of the server's other pages, from paper to ink; 6 is it in the light, 3 in the dark.
const sea: MantineColorsTuple = [
  "#eaf4f2", "#d3e7e4", "#a9d3cd", "#6cc5bd", "#3a9a94", "#1a7b78", "#0d6464", "#094c4c", "#073c3d", "#052b2c",
]

export const theme = createTheme({
  primaryColor: "sea",
  primaryShade: { light: 6, dark: 5 },
  colors: { sea },
  autoContrast: true,
  luminanceThreshold: 0.32,
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif',
  headings: { fontWeight: "650" },
  components: {
    Badge: { defaultProps: { variant: "light", radius: "sm" }, styles: { root: { flexShrink: 0 }, label: { textTransform: "none" } } },
    Paper: { defaultProps: { withBorder: true, radius: "md" } },
    Modal: { defaultProps: { centered: true, closeButtonProps: { "aria-label": "Close" } } },
    Drawer: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    // One line that scrolls, rather than two on a phone.
    Tabs: { styles: { list: { flexWrap: "nowrap", overflowX: "auto", overflowY: "hidden" }, tab: { flexShrink: 0 } } },
    Tooltip: { defaultProps: { openDelay: 300 } },
    ActionIcon: { defaultProps: { variant: "subtle", size: "lg" } },
  },
})

// Words on a tint of their own colour: dark enough for WCAG AA, which the library's own are not.
const INK: Record<string, string> = {
  blue: "#124b8f",
  cyan: "#0b5566",
  grape: "#6f2483",
  gray: "#454f54",
  green: "#1d5c2e",
  indigo: "#2f3f9e",
  lime: "#3f5c00",
  orange: "#8a2f00",
  pink: "#99204f",
  red: "#9b1c1c",
  sea: "#094c4c",
  teal: "#0a5a4d",
  violet: "#4f2a9e",
  yellow: "#6b4a00",
}

const each = (colour: (name: string) => Record<string, string>) =>
  Object.assign({}, ...Object.keys(INK).map(colour)) as Record<string, string>

const light = each((name) => ({ [`--mantine-color-${name}-light-color`]: INK[name] ?? "" }))
const dark = each((name) => ({
  [`--mantine-color-${name}-light-color`]: `var(--mantine-color-${name}-2)`,
  // White words, as in the light: the library chooses them without asking for the scheme.
  [`--mantine-color-${name}-filled`]: `var(--mantine-color-${name}-9)`,
  [`--mantine-color-${name}-filled-hover`]: `var(--mantine-color-${name}-8)`,
}))

/** Quiet text that still has contrast, and warm paper behind everything. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...light,
    "--mantine-color-red-filled": "var(--mantine-color-red-9)",
    "--mantine-color-body": "#ffffff",
    "--mantine-color-dimmed": "#56666c",
    "--mantine-color-placeholder": "#66757a",
    "--mantine-color-error": "#a32424",
    "--paper": "#f6f5f0",
    "--line": "#e1dfd7",
    "--mantine-color-text": "#1b2a2f",
    "--mantine-color-anchor": "#0d6464",
  },
  dark: {
    ...dark,
    "--mantine-color-sea-filled": "#1a7b78",
    "--mantine-color-sea-filled-hover": "#0d6464",
    "--mantine-color-body": "#18252a",
    "--mantine-color-dimmed": "#a3b5b8",
    "--mantine-color-placeholder": "#93a5a9",
    "--mantine-color-error": "#ff9d92",
    "--paper": "#10181b",
    "--line": "#2b3c42",
    "--mantine-color-text": "#e4ebeb",
    "--mantine-color-anchor": "#6cc5bd",
  },
})
