import type { Command } from "commander";
import { isMigrationError } from "../errors.js";
import { diffScans, isEqual } from "../inspect/diff.js";
import { differenceText, formatDifference } from "../inspect/diff-text.js";
import { parseUri } from "../node/uri.js";
import { readStream, type ReadStream } from "./read-stream.js";
import { addInputOptions, print, printable, runVerb, UsageError, warn } from "./run.js";
import type { ExitStatus, InputOptions } from "./run.js";
import { reportScan } from "./report-scan.js";

/** `savevm diff A B`: status 0 if the machines in two streams are in the same state, 1 if they differ. */
export function registerDiff(program: Command): void {
  addInputOptions(program.command("diff").argument("<a>", "a stream: a path or a URI").argument("<b>", "another one"))
    .description("compare device fields, and pages by block; status 1 if anything differs")
    .action((a: string, b: string, options: InputOptions) => runVerb("diff", [a, b], () => diff(a, b, options)));
}

async function diff(a: string, b: string, options: InputOptions): Promise<ExitStatus> {
  if (parseUri(a).kind === "stdio" && parseUri(b).kind === "stdio") {
    throw new UsageError("Compare two streams: only one of them can be standard input");
  }
  const first = await read(a, options);
  try {
    const second = await read(b, options);
    try {
      return await compare(first, second, options);
    } finally {
      second.close();
    }
  } finally {
    first.close();
  }
}

/** An error says which of the two inputs it is about. */
async function read(uri: string, options: InputOptions): Promise<ReadStream> {
  try {
    const stream = await readStream(uri, options, { content: true });
    reportScan("diff", stream.scan, uri);
    return stream;
  } catch (error) {
    if (isMigrationError(error)) error.message = `${uri}: ${error.message}`;
    throw error;
  }
}

async function compare(a: ReadStream, b: ReadStream, { json }: InputOptions): Promise<ExitStatus> {
  const difference = diffScans(a.scan, b.scan);
  if (json === true) await print(formatDifference(difference));
  else {
    for (const name of difference.skipped) warn("diff", `"${name}" is too large to be held and was not compared`);
    await print(Array.from(differenceText(difference), (line) => `${printable(line)}\n`));
  }
  return isEqual(difference) ? 0 : 1;
}
