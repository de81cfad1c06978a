// What the commands of bench/ share: options, and errors that say what to do.

import { parseArgs } from "node:util";

/** A wrong use of a command; its message goes to the user as it is. */
export class UsageError extends Error {}

/** Parses options and, with `positionals`, names; a wrong one is a UsageError. */
export function parseOptions(options, { positionals = false } = {}) {
  try {
    return parseArgs({ options, allowPositionals: positionals });
  } catch (error) {
    throw new UsageError(error.message, { cause: error });
  }
}

/** The whole number that an option gives, at least `least`. */
export function wholeNumber(name, text, least = 1) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new UsageError(`--${name} is ${text}, expected a whole number`);
  return value;
}

/** Runs a command: its number is the exit status; wrong usage is 2 with the usage line. */
export async function run(usage, main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    const misused = error instanceof UsageError || error instanceof RangeError || error.code === "ENOENT";
    console.error(misused ? `${error.message}\nUsage: ${usage}` : error);
    process.exitCode = 2;
  }
}
