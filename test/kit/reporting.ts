import type { TestUserConfig } from "vitest/config";

/**
 * The reporters of every vitest configuration here: vitest's own choice, or, where TEST_REPORT names a file, a line of
 * dots and a JSON report in that file. By the environment, because `npm cit` hands no arguments on to the tests.
 */
export function reporting(): Pick<TestUserConfig, "reporters"> {
  const outputFile = process.env["TEST_REPORT"];
  return outputFile === undefined ? {} : { reporters: ["dot", ["json", { outputFile }]] };
}
