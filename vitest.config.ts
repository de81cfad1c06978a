import { defineConfig } from "vitest/config";
import { reporting } from "./test/kit/reporting.js";
import { kernels } from "./rollup.config.mjs";

export default defineConfig({
  plugins: [kernels()],
  test: {
    ...reporting(),
    include: ["test/**/*.test.ts"],
    exclude: ["test/qemu/**", "test/browser/**", "test/docs/*.docs.test.ts"],
  },
});
