// `savevm inspect --no-hash` of a file against QEMU's scripts/analyze-migration.py, where ANALYZE_MIGRATION names it.
// The file is made in the folder for temporary files and read before anything is timed.

import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../bundle.mjs";
import { MIB, same } from "../kit.mjs";
import { makeGuest, MIXES } from "../whole/guests.mjs";

const SIZE = 2048 * MIB;
const SCRIPT = process.env.ANALYZE_MIGRATION;
const PYTHON = process.env.PYTHON ?? "python3";

function output(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 64 * MIB });
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function writeStream(library, mix, path) {
  const { vm, bytes } = makeGuest(library, "linear", SIZE);
  MIXES[mix](bytes);
  const file = openSync(path, "wx");
  try {
    await vm.save({ write: (chunk) => void writeSync(file, chunk) });
  } finally {
    closeSync(file);
  }
}

async function measure(bench, mix, { rounds }) {
  const files = await bundle(["cli/main"], "command");
  const folder = mkdtempSync(join(tmpdir(), "savevm-inspect-"));
  try {
    const path = join(folder, "stream");
    await writeStream(await bench.library(), mix, path);
    const variants = {
      savevm: () => output(process.execPath, [files["cli/main"], "inspect", "--no-hash", "--json", path]),
    };
    const { blocks } = JSON.parse(variants.savevm()).ram;
    same("pages found", blocks[0].pages.zero + blocks[0].pages.normal, SIZE / 4096);
    if (SCRIPT !== undefined && existsSync(SCRIPT)) {
      variants.script = () => output(PYTHON, [SCRIPT, "-f", path]);
      same("RAM found by the script", Number(JSON.parse(variants.script())["ram (1)"]["section sizes"].ram), SIZE);
    }
    const values = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, variant] of Object.entries(variants)) {
        const start = performance.now();
        variant();
        values[name].push((performance.now() - start) / 1000);
      }
    }
    return values;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function rows(bench) {
  return Object.keys(MIXES).map((mix) => ({
    id: `inspect/no-hash/${mix}`,
    title: `inspect --no-hash of a stream of 2 GiB of RAM, ${mix}`,
    unit: "s",
    better: "lower",
    rounds: 7,
    // A file of random pages is 2 GiB long; one of zeros is a few MiB, and starting up is all there is.
    ratios: [{ of: "savevm", to: "script", ...(mix === "random" ? { floor: 3, goal: 10 } : {}) }],
    measure: (options) => measure(bench, mix, options),
  }));
}
