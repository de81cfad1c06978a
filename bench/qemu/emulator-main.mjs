// The process of ours that stands where QEMU stands: a microvm with its RAM in a WebAssembly.Memory, driven by messages.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fillMixed, fillRandom } from "../kit.mjs";

const [files] = process.argv.slice(2).map((text) => JSON.parse(text));
const { loadStateAsync, saveStateAsync } = await import(files["savevm/run"]);
const { openInput, openOutput } = await import(files.node);
const { createMicrovm } = await import(files["../test/machines/microvm"]);

const WASM_PAGE = 65536;
/** What an emulator leaves us of its memory. */
const SCRATCH = 1 << 20;
const OPTIONS = { machine: "microvm" };

const FILLS = {
  zero: (ram) => ram.fill(0),
  random: (ram) => fillRandom(ram),
  "60% zero": (ram) => fillMixed(ram, 0.6),
};

let machine;
let ram;

/** A line of /proc/self/status in bytes. */
function processMemory(name) {
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/self/status", "utf8"));
  return Number(kib) * 1024;
}

const ACTIONS = {
  /** A machine with the devices that QEMU sent. */
  async create({ bytes, stream }) {
    const memory = new WebAssembly.Memory({ initial: (bytes + SCRATCH) / WASM_PAGE });
    ram = new Uint8Array(memory.buffer, 0, bytes);
    const scratch = { offset: bytes, length: SCRATCH };
    machine = createMicrovm({
      mainMemory: { memory, offset: 0, length: bytes, scratch },
      acpi: false,
      serials: 1,
    });
    await loadStateAsync(machine.registry, await openInput(`file:${stream}`), OPTIONS);
  },

  fill: ({ mix }) => void FILLS[mix](ram),

  digest: ({ from }) => createHash("sha256").update(ram.subarray(from)).digest("hex"),

  /** The peak of memory begins here, with nothing left over from before. */
  settle() {
    globalThis.gc();
    writeFileSync("/proc/self/clear_refs", "5");
    return processMemory("VmRSS");
  },

  peak: () => processMemory("VmHWM"),

  async save({ uri }) {
    await saveStateAsync(machine.registry, await openOutput(uri), OPTIONS);
  },

  async load({ uri }) {
    const input = await openInput(uri);
    await loadStateAsync(machine.registry, input, OPTIONS);
    return () => input.close();
  },
};

process.on("message", async ({ action, ...options }) => {
  try {
    const result = await ACTIONS[action](options);
    const later = typeof result === "function" ? result : undefined;
    process.send({ result: later ? undefined : result });
    await later?.();
  } catch (error) {
    process.send({ error: error.stack });
  }
});
