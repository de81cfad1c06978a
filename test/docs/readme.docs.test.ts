import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { complaint, ExampleRunner, extractExamples } from "../kit/docs.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The documents, and whether their ts and js blocks run unless told otherwise. */
const DOCUMENTS = [
  { document: "README.md", runByDefault: true },
  { document: "DESIGN.md", runByDefault: false },
];

/** What a document may use as its own recording: a plain stream, as `migrate "exec:cat > vm.mig"` leaves it. */
const RECORDING = new URL("../streams/microvm.gz", import.meta.url);

describe.each(DOCUMENTS)("$document", ({ document, runByDefault }) => {
  const examples = extractExamples(document, readFileSync(root + document, "utf8"), runByDefault);
  const runner = new ExampleRunner(root, `build/docs/${document}`);
  if (existsSync(RECORDING)) runner.provide("vm.mig", gunzipSync(readFileSync(RECORDING)));

  it("every ts example compiles", () => {
    expect(runner.typeErrors(runByDefault ? examples : examples.filter(({ run }) => run))).toEqual([]);
  });

  it.each(examples.filter(({ run }) => run))("$name runs and prints what it says", (example) => {
    expect(complaint(example, runner.run(example))).toBeUndefined();
  });
});

describe("README.md", () => {
  it("shows examples that run, and among them one that states what comes out", () => {
    const examples = extractExamples("README.md", readFileSync(`${root}README.md`, "utf8"), true);
    expect(examples.filter(({ run, text }) => run && /\/\/ (=>|prints) /.test(text))).not.toEqual([]);
  });
});
