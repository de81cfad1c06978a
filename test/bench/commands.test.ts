/** The command that compares results, as people and CI call it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatResults, type RowResult } from "../../src/bench/index.js";
import { ratioRow, resultsOf } from "./kit.js";

const COMMAND = fileURLToPath(new URL("../../bench/compare.mjs", import.meta.url));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "savevm-compare-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, content: readonly RowResult[] | string): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : formatResults(resultsOf(content)));
  return path;
}

function compare(...args: string[]): { status: number | null; out: string; problem: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], { encoding: "utf8" });
  return { status, out: stdout, problem: stderr };
}

describe("bench:compare", () => {
  const runs = [1, 1, 1];

  it("exit status 1 for a row that is gone, which --allow-gone allows", () => {
    const before = file("before.json", [ratioRow("a", runs), ratioRow("b", runs)]);
    const after = file("after.json", [ratioRow("a", runs)]);
    const refused = compare(before, after);
    expect(refused).toMatchObject({ status: 1, out: expect.stringContaining("Gone: b\n") as string });
    expect(compare(before, after, "--allow-gone").status).toBe(0);
    expect(compare(after, before).status).toBe(0);
  }, 60_000);

  it("exit status 2 if nothing was compared, whatever is allowed", () => {
    const [before, after] = ["a", "b"].map((id) => file(`${id}.json`, [ratioRow(id, runs)]));
    expect(compare(before, after, "--allow-gone")).toMatchObject({ status: 2, problem: "Nothing was compared\n" });
  }, 60_000);

  it("exit status 2 and one line for a file that is none", () => {
    const good = file("good.json", [ratioRow("a", runs)]);
    const missing = join(folder, "missing.json");
    const problems = [missing, file("text.json", "{"), file("schema.json", `{"schema":"x"}`)].map((bad) => {
      const { status, problem } = compare(good, bad);
      expect([status, problem.startsWith(`${bad}: `), problem.split("\n").length]).toEqual([2, true, 2]);
      return problem.slice(bad.length);
    });
    expect(problems[0]).toBe(": there is no such file or folder\n");
    expect(problems[2]).toContain("schema is x");
  }, 60_000);
});
