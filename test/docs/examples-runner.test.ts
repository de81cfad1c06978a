import { afterAll, describe, expect, it } from "vitest";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { complaint, ExampleRunner, expectedLines, extractExamples, lineMatches, toRunnable } from "../kit/docs.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const directory = "build/docs-fixture";

/** A document with one fenced block. */
function block(info: string, code: string): string {
  return `# Title\n\n\`\`\`${info}\n${code}\n\`\`\`\n`;
}

function only(markdown: string) {
  return extractExamples("DOC.md", markdown, true)[0];
}

describe("extractExamples", () => {
  it("names each block by document and first line, and pads it to that line", () => {
    const examples = extractExamples("DOC.md", block("ts", "a;") + block("js", "b;"), true);
    expect(examples.map(({ name, language }) => [name, language])).toEqual([
      ["DOC.md:4", "ts"],
      ["DOC.md:9", "js"],
    ]);
    expect(examples[1].text).toBe("\n".repeat(8) + "b;\n");
  });

  it("other languages and inline code are no examples", () => {
    expect(extractExamples("DOC.md", block("json", "{}") + "`ts`" + block("tsx", "x"), true)).toEqual([]);
  });

  it.each([
    ["ts", true, true],
    ["ts no-run", true, false],
    ["ts", false, false],
    ["ts run", false, true],
    ["sh", true, false],
    ["sh run", true, true],
  ])("%s where the document's default is %s gives run %s", (info, runByDefault, run) => {
    expect(extractExamples("DOC.md", block(info, "x"), runByDefault)[0].run).toBe(run);
  });

  it("continued puts the block before it in front, each line where it was", () => {
    const examples = extractExamples("DOC.md", block("ts", "const a = 1;") + block("ts continued", "a;"), true);
    expect(examples[1].text).toBe("\n\n\nconst a = 1;\n\n\n\n\na;\n");
  });

  it("an unknown word, or nothing to continue, is an error that names the block", () => {
    expect(() => only(block("ts contnued", "a;"))).toThrow("DOC.md:4: unknown word after the language: contnued");
    expect(() => only(block("ts continued", "a;"))).toThrow("DOC.md:4: nothing in ts to continue");
  });
});

describe("expectations", () => {
  it("come from // => and // prints, top to bottom; none gives undefined", () => {
    expect(expectedLines("f(); // => 1\n// prints a b\n// says x")).toEqual(["1", "a b"]);
    expect(expectedLines("f(); // plain")).toBeUndefined();
  });

  it("match literally, but for quotes and the ellipsis", () => {
    expect(lineMatches("[ 'a', 1 ]", '[ "a", 1 ]')).toBe(true);
    expect(lineMatches("Uint8Array(4) [ 1, 2, 3, 4 ]", "Uint8Array(4) [ 1, … ]")).toBe(true);
    expect(lineMatches("1.5", "1x5")).toBe(false);
    expect(lineMatches("1x5", "1.5")).toBe(false);
    expect(lineMatches("15", "1")).toBe(false);
  });
});

describe("toRunnable", () => {
  it("a // => behind something without a value is an error that names the line", () => {
    expect(() => toRunnable(only(block("ts", "if (true) {} // => 1")))).toThrow('"// =>" on line 4');
  });
});

describe("ExampleRunner", () => {
  const runner = new ExampleRunner(root, directory);
  afterAll(() => rmSync(new URL(`../../${directory}`, import.meta.url), { recursive: true, force: true }));

  function verdict(markdown: string): string | undefined {
    const example = only(markdown);
    return complaint(example, runner.run(example));
  }

  it("values, declarations and printed lines that are as stated give no complaint", () => {
    const code = [
      `const sum: number = 1 + 1; // => 2`,
      `await Promise.resolve({ a: "b" }); // => { a: "b" }`,
      `console.log("x", sum); // prints x 2`,
      `console.log(sum); // => 2`,
    ].join("\n");
    expect(verdict(block("ts", code))).toBeUndefined();
  });

  it.each([
    ["a value that differs", "1 + 1; // => 3"],
    ["a line too many", `console.log(1); // prints 1\nconsole.log(2);`],
    ["a line too few", `// prints 1`],
  ])("%s is a complaint that shows both sides", (_, code) => {
    expect(verdict(block("js", code))).toMatch(/^says it prints\n[\s\S]*but printed\n/);
  });

  it("an exception is a complaint with the line of the document", () => {
    expect(verdict(block("ts", `type T = 1;\nthrow new Error("boom");`))).toMatch(/exit status 1[\s\S]*DOC-md-4\.ts:5/);
  });

  it("sh runs in the same directory and stops at the first failure", () => {
    runner.provide("given.txt", "here");
    expect(verdict(block("sh run", "grep -q here given.txt"))).toBeUndefined();
    expect(verdict(block("sh run", "false\ntrue"))).toMatch(/^exit status 1/);
  });

  it("type errors carry the line of the document; js is not type-checked", () => {
    const markdown = block("ts", `const fine = 1;\nconst wrong: string = fine;`) + block("js", "null.x;");
    expect(runner.typeErrors(extractExamples("DOC.md", markdown, true))).toEqual([
      "DOC.md:5: Type 'number' is not assignable to type 'string'.",
    ]);
  });
});
