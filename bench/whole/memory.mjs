// What a save or a load takes beyond the memory of the machine, by the kernel's count of the process's peak.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundle } from "../bundle.mjs";

const MAIN = fileURLToPath(new URL("memory-main.mjs", import.meta.url));
let files = null;

/** Whether this system tells. */
export const canMeasure = existsSync("/proc/self/clear_refs");

/** MiB that one operation took in a process of its own, "warm" or "cold" of `state`, `rounds` times. */
export async function peakMemory({ operation, layout, size, rounds, state }) {
  files ??= await bundle(["index"], "memory");
  return Array.from({ length: rounds }, () => {
    const args = ["--expose-gc", MAIN, files.index, operation, layout, String(size), state];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`Measure the memory of a ${operation}: ${stderr}`);
    return JSON.parse(stdout).peak / 2 ** 20;
  });
}
