import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("README.md shows the newest results of bench/history (npm run bench:report writes them)", () => {
  const report = fileURLToPath(new URL("../../bench/report.mjs", import.meta.url));
  expect(() => execFileSync(process.execPath, [report, "--check"], { stdio: "pipe", timeout: 60_000 })).not.toThrow();
});
