/// <reference types="vitest/config" />
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { brotliCompressSync, gzipSync } from "node:zlib"
import react from "@vitejs/plugin-react"
import { defineConfig, type Plugin } from "vite"

const OUT = "../static/app"

/** Writes .br and .gz beside what is worth it, so that the server never compresses the same file twice. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      for (const file of readdirSync(OUT, { recursive: true, encoding: "utf8" }).map((name) => join(OUT, name))) {
        if (!statSync(file).isFile() || !/\.(js|css|html|svg)$/.test(file)) continue
        const content = readFileSync(file)
        writeFileSync(`${file}.br`, brotliCompressSync(content))
        writeFileSync(`${file}.gz`, gzipSync(content))
      }
    },
  }
}

export default defineConfig({
  base: "/app/",
  plugins: [react(), packed()],
  build: { outDir: OUT, emptyOutDir: true, target: "es2022", sourcemap: false, manifest: true },
  server: { proxy: { "/fhir": "http://127.0.0.1:8080", "/auth": "http://127.0.0.1:8080" } },
  test: { environment: "node", setupFiles: ["vitest.setup.ts"], include: ["src/**/*.test.{ts,tsx}"] },
})
