/**
 * Runs the examples of the documents, so that none of them can rot.
 *
 * A fenced block in ts, js or sh is an example. Words after the language steer it: `run` and `no-run` (only compiled)
 * override the document's default, `continued` puts the text of the example before it in front. In ts and js, comments
 * state what must come out, in order; a block that states anything states all that it prints:
 *
 *     console.log(stream.length); // prints 4096
 *     stream.length; // => 4096        the value, as util.inspect writes it; also behind `const length = …;`
 *
 * In an expectation "…" stands for any text. Line numbers in errors are those of the document.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import ts from "typescript";

export type Language = "ts" | "js" | "sh";

export interface Example {
  /** Document and line of the first line of code: "README.md:12". */
  readonly name: string;
  readonly language: Language;
  readonly run: boolean;
  /** The code, padded with empty lines so that its line numbers are the document's. */
  readonly text: string;
}

export interface Outcome {
  readonly status: number | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

const TIMEOUT_MS = 120_000;
const FENCE = /^(`{3,})(ts|js|sh)\b[ \t]*([^\n]*)\n([\s\S]*?)^\1[ \t]*$/gm;
const EXPECTATION = /\/\/ (=>|prints) (.+)$/;

/**
 * The examples of a Markdown text, in order.
 * @throws {Error} if a word after the language is unknown, or nothing stands before a continued block.
 */
export function extractExamples(document: string, markdown: string, runByDefault: boolean): Example[] {
  const examples: Example[] = [];
  for (const match of markdown.matchAll(FENCE)) {
    const [, fence, language, info, code] = match;
    const before = markdown.slice(0, match.index + match[0].indexOf("\n", fence.length) + 1);
    const line = before.split("\n").length;
    const name = `${document}:${line}`;
    const words = info.split(/\s+/).filter(Boolean);
    const unknown = words.find((word) => !["run", "no-run", "continued"].includes(word));
    if (unknown !== undefined) throw new Error(`Read ${name}: unknown word after the language: ${unknown}`);
    const previous = examples.at(-1);
    let head = "";
    if (words.includes("continued")) {
      if (previous?.language !== language) throw new Error(`Read ${name}: nothing in ${language} to continue`);
      head = previous.text;
    }
    examples.push({
      name,
      language: language as Language,
      run: words.includes("run") || (runByDefault && language !== "sh" && !words.includes("no-run")),
      text: head.padEnd(head.length + line - head.split("\n").length, "\n") + code,
    });
  }
  return examples;
}

/** What the example says it prints, line by line, top to bottom; undefined if it says nothing. */
export function expectedLines(text: string): string[] | undefined {
  const lines = text.split("\n").flatMap((line) => EXPECTATION.exec(line)?.[2].trim() ?? []);
  return lines.length > 0 ? lines : undefined;
}

/** Whether an actual line is the expected one: quotes of either kind are equal, "…" stands for any text. */
export function lineMatches(actual: string, expected: string): boolean {
  const literal = (text: string): string => text.replaceAll("'", '"').replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal(expected).replaceAll("…", ".*")}$`).test(actual.replaceAll("'", '"').trimEnd());
}

/**
 * The runnable JavaScript of a ts or js example: types gone, and every value with a `// =>` behind it shown.
 * @throws {Error} if a `// =>` stands behind something that has no value.
 */
export function toRunnable(example: Example): string {
  const show = `import { inspect as show$ } from "node:util";`;
  const { outputText } = ts.transpileModule(show + showValues(example), {
    fileName: `${fileStem(example)}.ts`,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      inlineSourceMap: true,
    },
  });
  return outputText;
}

function showValues(example: Example): string {
  const { text } = example;
  const source = ts.createSourceFile("example.ts", text, ts.ScriptTarget.ES2022, true);
  const edits: { at: number; insert: string }[] = [];
  const visit = (node: ts.Node): void => {
    const comment = ts.getTrailingCommentRanges(text, node.end)?.[0];
    if (comment !== undefined && text.startsWith("// =>", comment.pos)) addShow(node);
    ts.forEachChild(node, visit);
  };
  const addShow = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node)) {
      if (node.expression.getText().startsWith("console.")) return;
      edits.push({ at: node.expression.getStart(), insert: "console.log(show$((" });
      edits.push({ at: node.expression.end, insert: "), { breakLength: Infinity }))" });
    } else if (ts.isVariableStatement(node) && ts.isIdentifier(node.declarationList.declarations[0].name)) {
      const name = node.declarationList.declarations[0].name.text;
      edits.push({ at: node.end, insert: ` console.log(show$(${name}, { breakLength: Infinity }));` });
    } else if (ts.isStatement(node)) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      throw new Error(`Run ${example.name}: "// =>" on line ${line + 1} stands behind nothing that has a value`);
    }
  };
  ts.forEachChild(source, visit);
  edits.sort((a, b) => b.at - a.at);
  return edits.reduce((code, { at, insert }) => code.slice(0, at) + insert + code.slice(at), text);
}

/** A directory for the files of one document, inside the package so that it can import itself by name. */
export class ExampleRunner {
  readonly #directory: string;
  readonly #root: string;

  /** Empties the directory. Its name is relative to `root`, the folder of package.json. */
  constructor(root: string, directory: string) {
    this.#root = root;
    this.#directory = join(root, directory);
    rmSync(this.#directory, { recursive: true, force: true });
    mkdirSync(join(this.#directory, "bin"), { recursive: true });
    const command = `#!/bin/sh\nexec "${process.execPath}" "${join(root, "dist/cli.js")}" "$@"\n`;
    this.#write("bin/savevm", command, 0o755);
    this.#write("bin/npx", `#!/bin/sh\nexec "$@"\n`, 0o755);
  }

  /** Puts a file into the directory in which the examples run. */
  provide(name: string, content: string | Uint8Array): void {
    this.#write(name, content, 0o644);
  }

  /** Type errors of the ts examples, "README.md:12: message", by the project's own compiler options. */
  typeErrors(examples: readonly Example[]): string[] {
    const sources = new Map(
      examples
        .filter((example) => example.language === "ts")
        .map((example) => [this.#write(`${fileStem(example)}.ts`, example.text, 0o644), example]),
    );
    const config = ts.readConfigFile(join(this.#root, "tsconfig.json"), ts.sys.readFile.bind(ts.sys)) as {
      config: unknown;
    };
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, this.#root);
    const program = ts.createProgram([...sources.keys()], {
      ...options,
      noUnusedLocals: false,
      moduleDetection: ts.ModuleDetectionKind.Force,
    });
    return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
      const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
      const { file, start = 0 } = diagnostic;
      const example = sources.get(file?.fileName ?? "");
      if (file === undefined || example === undefined) return `${file?.fileName ?? "options"}: ${message}`;
      const { line } = ts.getLineAndCharacterOfPosition(file, start);
      return `${example.name.replace(/\d+$/, String(line + 1))}: ${message}`;
    });
  }

  /** Runs one example in its own process, in the directory; `savevm` is in PATH for sh. */
  run(example: Example): Outcome {
    const [command, ...args] =
      example.language === "sh"
        ? ["sh", "-e", this.#write(`${fileStem(example)}.sh`, example.text, 0o644)]
        : [
            process.execPath,
            "--enable-source-maps",
            this.#write(`${fileStem(example)}.mjs`, toRunnable(example), 0o644),
          ];
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: this.#directory,
      encoding: "utf8",
      env: { PATH: `${join(this.#directory, "bin")}${delimiter}${process.env["PATH"] ?? ""}` },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: TIMEOUT_MS,
    });
    return { status, lines: stdout.split("\n").slice(0, -1), stderr };
  }

  #write(name: string, content: string | Uint8Array, mode: number): string {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  }
}

/** What is wrong with an outcome, in one text to read; undefined if it is as the example says. */
export function complaint(example: Example, outcome: Outcome): string | undefined {
  if (outcome.status !== 0) return `exit status ${outcome.status ?? "none"}\n${outcome.stderr}`;
  const expected = expectedLines(example.text);
  if (expected === undefined) return undefined;
  const same =
    outcome.lines.length === expected.length && expected.every((line, i) => lineMatches(outcome.lines[i], line));
  return same ? undefined : `says it prints\n${expected.join("\n")}\nbut printed\n${outcome.lines.join("\n")}`;
}

function fileStem(example: Example): string {
  return example.name.replace(/[^\w]+/g, "-");
}
