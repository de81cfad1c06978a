// What the commands of bench/ share: options, and errors that say what to do.

import { parseArgs } from "node:util";
import { FileError, UsageError } from "./usage.mjs";

export { FileError, UsageError };

/** The options of everything that runs rows. */
export const RUN_USAGE = "[--only TEXT]... [--quick] [--runs N] [--rounds N] [--json FILE] [--list]";

/** Results that are kept are there to be compared, which takes runs that say how far runs differ. */
const RUNS_KEPT = 5;
/** Rounds of a row in each of several runs. */
const ROUNDS_OF_RUNS = 3;

/** Parses options and, with `positionals`, names; a wrong one is a UsageError. */
export function parseOptions(options, { positionals = false } = {}) {
  try {
    return parseArgs({ options, allowPositionals: positionals });
  } catch (error) {
    throw new UsageError(error.message, { cause: error });
  }
}

/** Parses the options of RUN_USAGE. Of several runs `rounds` is that of each; otherwise it may be left to the rows. */
export function parseRunOptions() {
  const { values } = parseOptions({
    only: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    runs: { type: "string" },
    rounds: { type: "string" },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  });
  const runs = wholeNumber("runs", values.runs) ?? (values.json === undefined ? 1 : RUNS_KEPT);
  const rounds = wholeNumber("rounds", values.rounds) ?? (runs > 1 ? ROUNDS_OF_RUNS : undefined);
  return { ...values, runs, rounds };
}

/** The whole number that an option gives, if it is there. */
function wholeNumber(name, text) {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`--${name} is ${text}, expected a whole number`);
  return value;
}

/**
 * Runs a command: its number is the exit status. 2 is for wrong usage, with the usage line, for a file that cannot be
 * used, with what is wrong with it, and for what should not have happened, with its stack.
 */
export async function run(usage, main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (error instanceof UsageError) console.error(`${error.message}\nUsage: ${usage}`);
    else console.error(error instanceof FileError ? error.message : error);
    process.exitCode = 2;
  }
}
