/** `savevm check OLD.json NEW.json`: are two state schemas compatible, field by field. */
import { createReadStream } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Command } from "commander";
import { formatError, StateError } from "../errors.js";
import { SCHEMA_LIMITS } from "../limits.js";
import { compareSchemas, type SchemaComparison } from "../vmstate/schema-check.js";
import type { SchemaFinding } from "../vmstate/schema-findings.js";
import { parseSchema, type StateSchema } from "../vmstate/schema.js";
import { printable } from "./run.js";

export interface CheckOptions {
  /** One JSON object on standard output instead of text. */
  readonly json?: boolean | undefined;
  /** Ask whether NEW's streams load in OLD. */
  readonly reverse?: boolean | undefined;
  /** Only this device type, as OLD (with `reverse`: NEW) names it. */
  readonly device?: string | undefined;
  /** Print nothing, only return the status; bad input is still reported. */
  readonly quiet?: boolean | undefined;
}

/** Where text goes; the process's own streams unless a test wants it. */
export interface CheckOutput {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

const CONSOLE: CheckOutput = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/**
 * Compare the schema files; a path may be gzip, `file:PATH`, or `-` for standard input.
 *
 * Returns the exit status: 0 compatible (there may be warnings), 1 errors were found or an input is bad, 2 wrong usage.
 */
export async function check(
  oldPath: string,
  newPath: string,
  options: CheckOptions = {},
  { out, err }: CheckOutput = CONSOLE,
): Promise<0 | 1 | 2> {
  const fail = (message: string): void => err(printable(`savevm check: ${message}`) + "\n");
  if (oldPath === "-" && newPath === "-") {
    fail("Standard input can be only one of the two schemas");
    return 2;
  }
  const paths = options.reverse === true ? [newPath, oldPath] : [oldPath, newPath];
  const inputs: Input[] = [];
  for (const path of paths) {
    try {
      inputs.push({ file: path, schema: parseSchema(await readText(path)) });
    } catch (error) {
      fail(`${path}: ${formatError(error)}`);
      return 1;
    }
  }
  const [old, now] = inputs;
  try {
    requireDevice(old, options.device);
    const comparison = compareSchemas(old.schema, now.schema, { device: options.device });
    if (options.quiet !== true) out((options.json === true ? toJson : toText)(old, now, comparison));
    return comparison.errors === 0 ? 0 : 1;
  } catch (error) {
    fail(formatError(error));
    return 1;
  }
}

/** Add the verb to the command line; the status becomes the exit code of the process. */
export function registerCheck(program: Command): void {
  program
    .command("check")
    .description("are two state schemas (-dump-vmstate form, QEMU's or ours) compatible, field by field")
    .argument("<old>", "schema of the machine that wrote the stream")
    .argument("<new>", "schema of the machine that is to load it")
    .option("--json", "print one JSON object")
    .option("--reverse", "check the way back: would a stream of NEW load in OLD")
    .option("--device <type>", "check only this device type")
    .option("-q, --quiet", "print nothing, only set the exit status")
    .action(async (oldPath: string, newPath: string, options: CheckOptions) => {
      process.exitCode = await check(oldPath, newPath, options);
    });
}

interface Input {
  readonly file: string;
  readonly schema: StateSchema;
}

async function readText(path: string): Promise<string> {
  const source = path === "-" ? process.stdin : createReadStream(path.replace(/^file:/, ""));
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > SCHEMA_LIMITS.bytes) throw tooLong();
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (isGzip ? unpack(bytes) : bytes).toString("utf8");
}

function unpack(bytes: Uint8Array): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: SCHEMA_LIMITS.bytes });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLong();
    throw new StateError("SCHEMA_INVALID", "Schema is not valid gzip", { cause });
  }
}

function tooLong(): StateError {
  return new StateError("SCHEMA_INVALID", `Schema too long: at most ${SCHEMA_LIMITS.bytes} bytes are read`);
}

function requireDevice({ file, schema }: Input, device: string | undefined): void {
  if (device === undefined || schema.devices.has(device)) return;
  throw new StateError("SCHEMA_INVALID", `No device ${JSON.stringify(device)} in ${file}`);
}

function toJson(old: Input, now: Input, { findings, errors, warnings }: SchemaComparison): string {
  const side = ({ file, schema }: Input) => ({ file, machine: schema.machine, devices: schema.devices.size });
  return JSON.stringify({ old: side(old), new: side(now), findings, errors, warnings }, null, 2) + "\n";
}

function toText(old: Input, now: Input, comparison: SchemaComparison): string {
  const side = ({ file, schema }: Input) =>
    `${file} (${schema.machine ?? "no machine named"}, ${count(schema.devices.size, "device")})`;
  const lines = [`Old: ${side(old)}`, `New: ${side(now)}`, ""];
  for (const [device, findings] of byDevice(comparison.findings)) {
    lines.push(device);
    for (const { severity, path, message, explanation } of findings) {
      const place = path === device ? "" : `${path.slice(device.length + " > ".length)}: `;
      lines.push(`  ${severity.padEnd(7)}  ${place}${message}`, `           ${explanation}`);
    }
    lines.push("");
  }
  lines.push(summary(comparison));
  return lines.map((line) => printable(line) + "\n").join("");
}

/** Findings by the first step of their path: the device type, or the machine. */
function byDevice(findings: readonly SchemaFinding[]): Map<string, SchemaFinding[]> {
  const groups = new Map<string, SchemaFinding[]>();
  for (const finding of findings) {
    const key = finding.device ?? finding.path;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [finding]);
    else group.push(finding);
  }
  return groups;
}

function summary({ errors, warnings }: SchemaComparison): string {
  const also = warnings === 0 ? "" : `, ${count(warnings, "warning")}`;
  return errors === 0 ? `Compatible${also}` : `Not compatible: ${count(errors, "error")}${also}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
