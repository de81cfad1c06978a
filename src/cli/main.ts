#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { registerCheck } from "./check.js";
import { registerConvert } from "./convert.js";
import { registerDiff } from "./diff.js";
import { registerExtract } from "./extract.js";
import { registerInspect } from "./inspect.js";
import { registerVerify } from "./verify.js";

const program = new Command("savevm")
  .description("Read, check, convert and compare QEMU migration streams")
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });
registerInspect(program);
registerVerify(program);
registerExtract(program);
registerConvert(program);
registerDiff(program);
registerCheck(program);

// A reader that has seen enough, such as head(1), is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // Commander has printed the text; its statuses are 0 for help and 1 for wrong usage.
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
