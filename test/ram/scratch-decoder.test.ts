import { expect, it } from "vitest";
import { GuestMemory } from "../../src/ram/guest-memory.js";
import { KernelBindings } from "../../src/ram/kernel-bindings.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { ScratchDecoder } from "../../src/ram/scratch-decoder.js";
import { concat, Writer } from "../../src/stream/writer.js";

const PAGE = 256;
const LENGTH = 2 << 20;
const SCRATCH = { offset: 4096, length: 64 << 10 };

function guest(): { usedLength: number; block: { memory: GuestMemory }; received: Uint8Array<ArrayBuffer> } {
  const memory = new WebAssembly.Memory({ initial: 48 });
  const source = { memory, offset: 1 << 20, length: LENGTH, scratch: SCRATCH };
  return {
    usedLength: LENGTH,
    block: { memory: new GuestMemory(source) },
    received: new Uint8Array(LENGTH / PAGE / 8),
  };
}

/** Zero records that continue, at these offsets. */
function zeros(...offsets: number[]): Uint8Array {
  const writer = new Writer();
  const records = new RamRecordWriter(writer);
  records.zero("ram", 0);
  for (const offset of offsets) records.zero("ram", offset);
  // Without the first record, which has the name: word, counted name, fill byte.
  return concat(writer.take()).subarray(8 + 4 + 1);
}

it("records that jump far: the rest of a chunk is not copied again, a new chunk is", () => {
  const decoder = new ScratchDecoder(PAGE, new KernelBindings({}));
  const target = guest();
  const chunk = zeros(0, 1 << 20, PAGE, (1 << 20) + PAGE);
  expect(decoder.decode(target, chunk)).toMatchObject({ bytes: 9, zeroPages: 1 });
  expect(decoder.decode(target, chunk.subarray(9)).bytes).toBe(0);
  expect(decoder.decode(target, chunk.subarray(18)).bytes).toBe(0);
  expect(decoder.decode(target, zeros(PAGE)).bytes).toBe(9);
  expect(decoder.decode(target, chunk)).toMatchObject({ bytes: 9 });
});

it("input longer than the scratch region, none, or none to be had: left to others", () => {
  const decoder = new ScratchDecoder(PAGE, new KernelBindings({}));
  const offsets = Array.from({ length: 8000 }, (_, page) => page * PAGE);
  expect(decoder.decode(guest(), zeros(...offsets)).bytes).toBe(0);
  expect(decoder.decode(guest(), new Uint8Array(0)).bytes).toBe(0);
  expect(decoder.decode(guest(), zeros(LENGTH)).bytes).toBe(0);
  const plain = { ...guest(), block: { memory: new GuestMemory(new Uint8Array(LENGTH)) } };
  expect(decoder.decode(plain, zeros(0)).bytes).toBe(0);
});
