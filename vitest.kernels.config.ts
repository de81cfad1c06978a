/** Kernels against their twins on ten million inputs each: `npm run test:kernels`, `-- xbzrle` for some of them. */
import { defineConfig } from "vitest/config";
import { kernels } from "./rollup.config.mjs";
import { reporting } from "./test/kit/reporting.js";

export default defineConfig({
  plugins: [kernels()],
  test: {
    ...reporting(),
    include: ["test/kernels/equality/*.test.ts"],
    // EQUALITY_INPUTS and EQUALITY_SEED of the caller stand: fewer or more inputs, and others.
    env: { EQUALITY_INPUTS: "10000000", ...inherited("EQUALITY_INPUTS"), ...inherited("EQUALITY_SEED") },
    testTimeout: 600_000,
    maxWorkers: 2,
  },
});

function inherited(name: string): Record<string, string> {
  const value = process.env[name];
  return value === undefined ? {} : { [name]: value };
}
