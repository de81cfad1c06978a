import { deflateSync } from "node:zlib";
import type { Command } from "commander";
import { formatError, type MigrationError } from "../errors.js";
import { DeepVerifier, type DeepResult } from "../inspect/deep-verifier.js";
import type { ScanResult } from "../inspect/scan-result.js";
import { readStream } from "./read-stream.js";
import { addInputOptions, print, printable, runVerb, warn, type ExitStatus, type InputOptions } from "./run.js";

interface VerifyOptions extends InputOptions {
  readonly deep?: boolean;
}

/** `savevm verify IN`: is a stream what it says. */
export function registerVerify(program: Command): void {
  addInputOptions(program.command("verify").argument("<in>", "the stream: a path or a URI"))
    .description("read everything; check structure, footers, record bounds, and the description against the bytes")
    .option("--deep", "also encode everything anew and compare it byte for byte")
    .action((uri: string, options: VerifyOptions) => runVerb("verify", [uri], () => verify(uri, options)));
}

async function verify(uri: string, options: VerifyOptions): Promise<ExitStatus> {
  const deep = options.deep === true ? new DeepVerifier((page, level) => deflateSync(page, { level })) : null;
  const { scan, close } = await readStream(uri, options, {
    content: deep !== null,
    observer: deep,
    ...(deep === null ? {} : { tee: (source) => deep.tee(source) }),
  });
  close();
  const result = deep?.finish(scan.devices) ?? null;
  const problems = [...scan.problems, ...(result?.problems ?? [])];
  if (options.json === true) await print([`${JSON.stringify(toJson(scan, result, problems), null, 2)}\n`]);
  else {
    for (const message of scan.warnings) warn("verify", message);
    for (const problem of problems) process.stderr.write(`savevm verify: ${printable(formatError(problem))}\n`);
    await print(Array.from(toText(scan, result, problems), (line) => `${printable(line)}\n`));
  }
  return problems.length === 0 ? 0 : 1;
}

function toJson(scan: ScanResult, deep: DeepResult | null, problems: readonly MigrationError[]) {
  return {
    ok: problems.length === 0,
    bytes: scan.bytes,
    sections: scan.sections.length,
    described: described(scan),
    devices: scan.devices.length,
    problems,
    warnings: scan.warnings,
    deep:
      deep === null
        ? null
        : { identical: deep.identical, chosen: deep.chosen, copied: deep.copied, choices: deep.choices },
  };
}

function described({ devices }: ScanResult): number {
  return devices.filter(({ fields }) => fields !== null).length;
}

function* toText(scan: ScanResult, deep: DeepResult | null, problems: readonly MigrationError[]): Generator<string> {
  const verdict = problems.length === 0 ? "OK" : `BAD (${problems.length} problems)`;
  yield `${verdict}: ${scan.bytes} bytes, ${scan.sections.length} sections, ${described(scan)} of ${scan.devices.length} devices held against a description`;
  if (deep === null) return;
  yield `Encoded anew: ${deep.identical} bytes identical, ${deep.chosen} in another form of equal meaning, ${deep.copied} only copied`;
  for (const { what, count, offset } of deep.choices) {
    yield `  ${what}: ${count} ${count === 1 ? "time" : "times"}, first at offset ${offset}`;
  }
}
