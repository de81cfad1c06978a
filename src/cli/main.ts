#!/usr/bin/env node
import { runCommandLine } from "./program.js";

// A reader that has seen enough, such as head(1), is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`savevm: Write standard output: ${error.message}\n`);
  process.exit(1);
});

await runCommandLine(process.argv);
