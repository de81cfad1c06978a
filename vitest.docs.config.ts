import { defineConfig } from "vitest/config";

/** What runs against the built package: the examples of the documents and of examples/. */
export default defineConfig({
  test: { include: ["test/docs/*.docs.test.ts"], testTimeout: 180_000 },
});
