import type { Command } from "commander";
import { formatError, isMigrationError, StreamError } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import { isPeer, parseUri, UriError, type Uri } from "../node/uri.js";
import { isTargetPageSize } from "../stream/page-size.js";

/** 0 done; 1 the input is bad, or a check failed; 2 wrong usage; 3 the peer failed. */
export type ExitStatus = 0 | 1 | 2 | 3;

/** The command line asks for something that makes no sense. */
export class UsageError extends TypeError {
  override readonly name = "UsageError";
}

/** Run a verb: its status becomes that of the process, and what it throws one line on standard error. */
export async function runVerb(verb: string, uris: readonly string[], run: () => Promise<ExitStatus>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    process.stderr.write(`savevm ${verb}: ${printable(formatError(error))}\n`);
    process.exitCode = statusOf(error, uris);
  }
}

function statusOf(error: unknown, uris: readonly string[]): ExitStatus {
  if (error instanceof UriError || error instanceof UsageError) return 2;
  if (isMigrationError(error, "CHANNEL_FAILED") || isMigrationError(error, "CHANNEL_CLOSED")) {
    return uris.some((uri) => isPeer(parseUri(uri))) ? 3 : 1;
  }
  return 1;
}

/** Names come from streams and schemas: control characters must not reach a terminal. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** Tell of something odd, on standard error. */
export function warn(verb: string, message: string): void {
  process.stderr.write(`savevm ${verb}: warning: ${printable(message)}\n`);
}

/** Write to standard output, waiting when it is full. */
export async function print(pieces: Iterable<string>): Promise<void> {
  for (const piece of pieces) {
    if (process.stdout.write(piece)) continue;
    await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
  }
}

/** Options of every verb that reads a stream. */
export interface InputOptions {
  readonly json?: boolean;
  readonly descriptionFrom?: string;
  readonly pageSize?: string;
  readonly limit?: readonly string[];
  readonly multifd?: readonly string[];
  readonly preempt?: string;
  readonly then?: string;
}

/** Declare the options of {@link InputOptions}. */
export function addInputOptions(command: Command): Command {
  return command
    .option("--json", "print one JSON object")
    .option("--description-from <stream>", "borrow the description of another stream of the same machine")
    .option("--page-size <bytes>", "target page size, where the stream does not tell")
    .option("--limit <name=value>", `raise a ceiling: ${Object.keys(DEFAULT_LIMITS).join(", ")}`, collect, [])
    .option("--multifd <file>", "capture of a multifd channel (not supported yet)", collect, [])
    .option("--preempt <file>", "capture of the preempt channel (not supported yet)")
    .option("--then <file>", "the connection that resumed a paused postcopy (not supported yet)");
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

/** @throws StreamError UNSUPPORTED for options of later releases */
export function checkSupported({ multifd, preempt, then }: InputOptions): void {
  const given = [
    (multifd?.length ?? 0) > 0 ? "--multifd" : null,
    preempt === undefined ? null : "--preempt",
    then === undefined ? null : "--then",
  ].find((option) => option !== null);
  if (given !== undefined)
    throw new StreamError("UNSUPPORTED", `Read several connections: ${given} is not supported yet`);
}

/** @throws UsageError */
export function parsePageSize(text: string | undefined): number | null {
  if (text === undefined) return null;
  const size = Number(text);
  if (isTargetPageSize(size)) return size;
  throw new UsageError(`Use --page-size ${text}: want a power of two from 256 to 65536`);
}

/** @throws UsageError */
export function parseLimits(texts: readonly string[] = []): Partial<Limits> {
  const limits: Record<string, number> = {};
  for (const text of texts) {
    const [name, digits = ""] = text.split("=");
    const value = Number(digits);
    if (!Object.hasOwn(DEFAULT_LIMITS, name) || digits === "" || !Number.isSafeInteger(value) || value < 0) {
      throw new UsageError(
        `Use --limit ${text}: want NAME=NUMBER, NAME one of ${Object.keys(DEFAULT_LIMITS).join(", ")}`,
      );
    }
    limits[name] = value;
  }
  return limits;
}

/** A qcow2 image with `#TAG` is a snapshot in it. @throws StreamError UNSUPPORTED */
export function parseInput(text: string): Uri {
  const uri = parseUri(text);
  if (uri.kind === "file" && /\.qcow2#[^/]+$/.test(uri.path)) {
    throw new StreamError("UNSUPPORTED", `Read ${text}: snapshots in qcow2 images are not supported yet`);
  }
  return uri;
}
