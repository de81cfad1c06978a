import { defineConfig } from "vitest/config";
import { kernels } from "./rollup.config.mjs";

export default defineConfig({
  plugins: [kernels()],
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/qemu/**", "test/browser/**"],
  },
});
