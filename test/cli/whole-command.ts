/** The whole command line, run in this process: what is printed, and the exit status. */
import { vi } from "vitest";
import { runCommandLine } from "../../src/cli/program.js";

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Run `savevm` with these arguments. */
export async function runSavevm(...args: readonly string[]): Promise<Ran> {
  const printed = { out: "", err: "" };
  const take = (stream: "out" | "err") => (text: string | Uint8Array) => {
    printed[stream] += typeof text === "string" ? text : Buffer.from(text).toString("latin1");
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(take("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(take("err")),
  ];
  const before = process.exitCode;
  try {
    process.exitCode = 0;
    await runCommandLine(["node", "savevm", ...args]);
    return { status: exitStatus(), ...printed };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}

function exitStatus(): number {
  return Number(process.exitCode ?? 0);
}
