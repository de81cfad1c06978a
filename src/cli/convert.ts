import type { Command } from "commander";
import { StreamError } from "../errors.js";
import { convertToStream } from "../inspect/convert.js";
import { openOutput } from "../node/output.js";
import { encodeAsync } from "../stream/drive.js";
import { Writer } from "../stream/writer.js";
import { readStream } from "./read-stream.js";
import { reportScan } from "./report-scan.js";
import { addInputOptions, print, runVerb, UsageError, type ExitStatus, type InputOptions } from "./run.js";

interface ConvertCliOptions extends InputOptions {
  readonly to: string;
  readonly xbzrle?: boolean;
  readonly dropDescription?: boolean;
}

const LATER: ReadonlySet<string> = new Set(["mapped-ram", "qcow2", "store"]);

/** `savevm convert IN OUT --to FORMAT`: the same machine in another form. */
export function registerConvert(program: Command): void {
  const command = program.command("convert").argument("<in>", "the stream: a path or a URI");
  addInputOptions(command.argument("<out>", "where the new one goes: a path or a URI"))
    .description("write the machine in a stream anew, every page once")
    .requiredOption("--to <format>", "stream (mapped-ram, qcow2 and store are not supported yet)")
    .option("--xbzrle", "send sparse pages as a zero page and an XBZRLE record of the rest")
    .option("--drop-description", "leave out the JSON description")
    .action((from: string, to: string, options: ConvertCliOptions) =>
      runVerb("convert", [from, to], () => convert(from, to, options)),
    );
}

async function convert(from: string, to: string, options: ConvertCliOptions): Promise<ExitStatus> {
  if (LATER.has(options.to)) {
    throw new StreamError("UNSUPPORTED", `Convert to ${options.to}: that is not supported yet`);
  }
  if (options.to !== "stream")
    throw new UsageError(`Convert to ${options.to}: want stream, mapped-ram, qcow2 or store`);
  const { scan, close } = await readStream(from, options, { content: true });
  try {
    reportScan("convert", scan);
    const output = await openOutput(to);
    const writer = new Writer();
    const { xbzrle, dropDescription } = options;
    const encode = convertToStream(writer, scan, { xbzrle, dropDescription });
    try {
      await encodeAsync(encode, writer, output);
    } catch (error) {
      await output.abort();
      throw error;
    }
    await output.close();
    const result = { bytes: writer.offset, blocks: scan.ram?.blocks.length ?? 0, devices: scan.devices.length };
    if (options.json === true && to !== "-") await print([`${JSON.stringify({ output: to, ...result }, null, 2)}\n`]);
  } finally {
    close();
  }
  return 0;
}
