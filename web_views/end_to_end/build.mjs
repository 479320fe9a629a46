// One ES module for the browser, and for node: `node build.mjs FILE`.
import { readFileSync } from "node:fs"
import { build } from "esbuild"

const here = new URL(".", import.meta.url)
const { version } = JSON.parse(readFileSync(new URL("node_modules/jose/package.json", here), "utf8"))
const licence = readFileSync(new URL("node_modules/jose/LICENSE.md", here), "utf8").trim()

await build({
  absWorkingDir: here.pathname,
  entryPoints: ["index.ts"],
  outfile: process.argv[2],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  banner: { js: `/*! Built from web_views/end_to_end. Contains parts of jose ${version}:\n\n${licence}\n*/` },
})
