import type { Command } from "commander";
import { formatInspection, summarise } from "../inspect/inspect.js";
import { summaryText } from "../inspect/summary-text.js";
import { sha256 } from "../node/hash.js";
import { readStream } from "./read-stream.js";
import { addInputOptions, print, printable, runVerb, warn, type ExitStatus, type InputOptions } from "./run.js";

interface InspectOptions extends InputOptions {
  readonly hash: boolean;
}

/** `savevm inspect IN`: what is in a stream. */
export function registerInspect(program: Command): void {
  addInputOptions(program.command("inspect").argument("<in>", "the stream: a path or a URI"))
    .description("show header, configuration, sections, commands, RAM blocks and devices")
    .option("--no-hash", "do not keep RAM content to hash it")
    .action((uri: string, options: InspectOptions) => runVerb("inspect", [uri], () => inspect(uri, options)));
}

async function inspect(uri: string, options: InspectOptions): Promise<ExitStatus> {
  const { scan, close } = await readStream(uri, options, { content: options.hash });
  try {
    const inspection = summarise(scan, options.hash ? sha256 : null);
    if (options.json === true) await print(formatInspection(inspection));
    else await print(Array.from(summaryText(inspection), (line) => `${printable(line)}\n`));
  } finally {
    close();
  }
  for (const message of scan.warnings) warn("inspect", message);
  for (const problem of scan.problems) warn("inspect", problem.message);
  return 0;
}
