/** Tests that need a real QEMU: `npm run test:qemu`. */
import { defineConfig } from "vitest/config";
import { reporting } from "./test/kit/reporting.js";

export default defineConfig({
  test: {
    ...reporting(),
    include: ["test/qemu/**/*.qemu.test.ts"],
    globalSetup: ["test/qemu/setup.ts"],
    testTimeout: 120_000,
    // Each test keeps one or two QEMUs busy.
    maxWorkers: 2,
  },
});
