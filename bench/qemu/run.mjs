// `npm run bench:qemu`: whole saves and loads against a real QEMU, in pairs. Options: --size MiB[,MiB] (512,2048),
// --pairs N (5), --only TEXT (rows whose id has it; again for more), --json FILE, --list.
//
// Both sides are processes that stand still and hold the same RAM and devices; both are told to begin by a message on
// a local socket. A save counts from that message until the reader at the other end, the same for both, has the last
// byte. A load counts from the moment the sender is connected until the side reports, unasked, that it is done.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../bundle.mjs";
import { parseOptions, run, UsageError } from "../cli.mjs";
import { describeRun, writeResults } from "../results.mjs";
import { selectRows } from "../session.mjs";
import { Pair } from "./pair.mjs";
import { rowsOf } from "./rows.mjs";

const USAGE = "npm run bench:qemu -- [--size MIB[,MIB]] [--pairs N] [--only TEXT]... [--json FILE] [--list]";
/** In memory where there is such a place: no disk shall take part. */
const MEMORY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

function wholeNumber(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`--${name} has ${text}, expected a whole number`);
  return value;
}

/** Measures rows of one size; those of one mix follow each other. */
async function measureSize(pair, rows, options, done) {
  await pair.open();
  let filled;
  for (const row of rows) {
    if (filled !== row.mix) await pair.fill(row.mix);
    filled = row.mix;
    done(await row.measure(pair, row, options));
  }
}

await run(USAGE, async () => {
  const { values: options } = parseOptions({
    size: { type: "string", default: "512,2048" },
    pairs: { type: "string", default: "5" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  });
  const pairs = wholeNumber("pairs", options.pairs);
  const sizes = options.size.split(",").map((text) => wholeNumber("size", text));
  const selected = selectRows(sizes.flatMap(rowsOf), options.only);
  if (options.list) {
    for (const { id, title } of selected) console.log(id.padEnd(36), title);
    return 0;
  }

  const files = await bundle(["savevm/run", "node", "bench/index", "../test/machines/microvm", "../test/kit/qemu"]);
  const library = await import(files["bench/index"]);
  const { Qemu, qemuVersion } = await import(files["../test/kit/qemu"]);
  const head = describeRun(library, { quick: false });
  console.log(`QEMU ${qemuVersion()}, ${library.runtimeLabel(head.runtime)}`);

  const results = [];
  const directory = mkdtempSync(join(MEMORY, "savevm-bench-"));
  try {
    const rom = join(directory, "rom");
    // Nothing but HLT: whatever QEMU is made to run stops at once.
    writeFileSync(rom, new Uint8Array(64 << 10).fill(0xf4));
    for (const size of sizes) {
      const rows = selected.filter(({ bytes }) => bytes === size * 2 ** 20);
      if (rows.length === 0) continue;
      const pair = new Pair({ files, Qemu, mebibytes: size, directory, rom });
      try {
        await measureSize(pair, rows, { library, pairs }, (result) => {
          results.push(result);
          console.log(library.formatRow(result));
        });
      } finally {
        await pair.close();
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (options.json !== undefined) writeResults(library, options.json, { ...head, rows: results });
  return 0;
});
