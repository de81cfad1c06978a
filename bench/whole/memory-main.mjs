// A process that saves or loads once and tells what that took beyond the memory it had: run by memory.mjs.
// Arguments: the bundle of the package, the operation, the layout, MiB of RAM, and "warm" or "cold": whether the process
// has done the operation before.

import { readFileSync, writeFileSync } from "node:fs";
import { PAGE, same } from "../kit.mjs";
import { LAYOUTS, MACHINE, ringSink } from "./guests.mjs";
import { repeatedMemory } from "./rounds.mjs";

const [file, operation, layout, size, state] = process.argv.slice(2);
const library = await import(file);
const length = Number(size) * 2 ** 20;
const CHUNK = 256 << 10;
/** Distinct memory of a guest: one buffer cannot hold 4 GiB. */
const SEGMENT = 512 << 20;

function processMemory(name) {
  const line = readFileSync("/proc/self/status", "latin1").match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"));
  return Number(line[1]) * 1024;
}

/** A stream as a channel delivers it: into two buffers in turn, since a record may begin in one and end in the next. */
function* delivered(stream) {
  let [buffer, other] = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
  for (let at = 0; at < stream.length; at += CHUNK) {
    const chunk = stream.subarray(at, at + CHUNK);
    buffer.set(chunk);
    yield buffer.subarray(0, chunk.length);
    [buffer, other] = [other, buffer];
  }
}

/** One of five pages has something in it. */
function content(page) {
  return page % 5 === 0 ? 1 : 0;
}

async function prepare(bytes) {
  const segment = LAYOUTS[layout](Math.min(bytes, SEGMENT));
  const vm = new library.SaveVM(MACHINE);
  vm.addRam("ram", repeatedMemory(bytes, segment.source));
  // Written, so that all pages exist.
  for (let at = 0; at < segment.bytes.length; at += PAGE) segment.bytes[at] = content(at / PAGE);
  if (operation === "save") {
    const ring = ringSink();
    return () => vm.save(ring);
  }
  const chunks = [];
  let total = 0;
  await vm.save({
    write(chunk) {
      chunks.push(chunk.slice());
      total += chunk.length;
    },
  });
  const stream = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks.splice(0)) {
    stream.set(chunk, at);
    at += chunk.length;
  }
  return async () => {
    await vm.load(delivered(stream));
    for (let at = 0; at < segment.bytes.length; at += PAGE)
      same(`page ${at / PAGE}`, segment.bytes[at], content(at / PAGE));
  };
}

if (state === "warm") {
  // The code is compiled and the young generation has its size before anything is measured.
  const small = await prepare(16 * 2 ** 20);
  for (let i = 0; i < 8; i++) await small();
}
const run = await prepare(length);
globalThis.gc();
globalThis.gc();
// From here on the kernel notes the peak anew.
writeFileSync("/proc/self/clear_refs", "5");
const before = processMemory("VmRSS");
await run();
const peak = Math.max(0, processMemory("VmHWM") - before);
console.log(JSON.stringify({ peak }));
