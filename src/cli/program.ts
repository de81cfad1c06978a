import { Command, CommanderError } from "commander";
import { registerCheck } from "./check.js";
import { registerConvert } from "./convert.js";
import { registerDiff } from "./diff.js";
import { registerExtract } from "./extract.js";
import { registerInspect } from "./inspect.js";
import { registerVerify } from "./verify.js";

/** Run the command line; `argv` as the process has it. The status becomes that of the process. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  const program = new Command("savevm")
    .description("Read, check, convert and compare QEMU migration streams")
    .exitOverride()
    .showSuggestionAfterError(false) // an error is one line
    .configureHelp({ showGlobalOptions: true });
  for (const register of [
    registerInspect,
    registerVerify,
    registerExtract,
    registerConvert,
    registerDiff,
    registerCheck,
  ]) {
    register(program);
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed the text; its statuses are 0 for help and 1 for wrong usage.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}
