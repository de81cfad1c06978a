/** Tests that need a real QEMU: `npm run test:qemu`. */
import { defineConfig } from "vitest/config";
import { kernels } from "./rollup.config.mjs";
import { reporting } from "./test/kit/reporting.js";

export default defineConfig({
  plugins: [kernels()],
  test: {
    ...reporting(),
    include: ["test/qemu/**/*.qemu.test.ts"],
    globalSetup: ["test/qemu/setup.ts"],
    testTimeout: 120_000,
    // Each test keeps one or two QEMUs busy.
    maxWorkers: 2,
  },
});
