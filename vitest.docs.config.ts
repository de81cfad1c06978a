import { defineConfig } from "vitest/config";
import { reporting } from "./test/kit/reporting.js";

/** What runs against the built package: the examples of the documents and of examples/. */
export default defineConfig({
  test: { ...reporting(), include: ["test/docs/*.docs.test.ts"], testTimeout: 180_000 },
});
