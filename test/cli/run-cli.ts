/** Verbs of the command line, run in this process. */
import { Command } from "commander";
import { vi } from "vitest";
import { registerConvert } from "../../src/cli/convert.js";
import { registerDiff } from "../../src/cli/diff.js";
import { registerExtract } from "../../src/cli/extract.js";

export interface CliRun {
  /** Exit status. */
  readonly status: number;
  readonly out: string;
  /** Lines on standard error. */
  readonly err: readonly string[];
}

/** Run `savevm` with these arguments; wrong usage that commander finds itself is thrown. */
export async function runCli(...args: readonly string[]): Promise<CliRun> {
  let [out, err] = ["", ""];
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
  const before = process.exitCode;
  try {
    const program = new Command("savevm").exitOverride();
    for (const register of [registerConvert, registerDiff, registerExtract]) register(program);
    await program.parseAsync(args, { from: "user" });
    return { status: Number(process.exitCode), out, err: err.split("\n").filter((line) => line !== "") };
  } finally {
    process.exitCode = before;
    stdout.mockRestore();
    stderr.mockRestore();
  }
}
