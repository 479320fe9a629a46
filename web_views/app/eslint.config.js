import js from "@eslint/js"
import hooks from "eslint-plugin-react-hooks"
import { defineConfig } from "eslint/config"
import ts from "typescript-eslint"

export default defineConfig(
  { ignores: ["absent", "node_modules"] },
  js.configs.recommended,
  ts.configs.recommendedTypeChecked,
  hooks.configs.flat["recommended-latest"],
  {
    languageOptions: { parserOptions: { project: "tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  { files: ["*.js"], extends: [ts.configs.disableTypeChecked] },
)
