import { RESULT_BYTES } from "../kernels/index.js";
import type { KernelBindings } from "./kernel-bindings.js";
import type { DecodedRun, PageTarget } from "./run-decoder.js";

/** Pages of one window: marks for that many are kept in the scratch region. A multiple of 8. */
const WINDOW_PAGES = 4096;
const RESULT_ROOM = Math.ceil(RESULT_BYTES / 8) * 8;
/** Less room for records is not worth a call. */
const MIN_ROOM = 8 << 10;

const NOTHING: DecodedRun = { bytes: 0, zeroPages: 0, normalPages: 0 };

/**
 * Places records by the kernel, where the emulator's memory has a scratch region for us: a chunk is copied there, which
 * costs little while it is in the cache, and everything else happens in one call. Input that the region has no room for is
 * refused: it did not just arrive, and a copy of what is in no cache costs more than the kernel saves. So is what is left
 * of a chunk after a call: records that the kernel stops at would make it copy the rest again and again.
 */
export class ScratchDecoder {
  readonly #pageSize: number;
  readonly #bindings: KernelBindings;
  /** What was copied last. */
  #copied: Uint8Array = new Uint8Array(0);

  constructor(pageSize: number, bindings: KernelBindings) {
    this.#pageSize = pageSize;
    this.#bindings = bindings;
  }

  /** Places what it can of the records at the start of `input`; nothing where there is no scratch region. */
  decode({ usedLength, block, received }: PageTarget, input: Uint8Array): Readonly<DecodedRun> {
    const size = this.#pageSize;
    if (input.length < 8) return NOTHING;
    const head = new DataView(input.buffer, input.byteOffset, 8);
    const page = Math.floor((head.getUint32(0) * 0x1_0000_0000 + head.getUint32(4)) / size);
    if (page * size >= usedLength) return NOTHING;
    const { start, end, memory, address, scratch } = block.memory.segmentAt(page * size);
    if (scratch === null) return NOTHING;
    const marks = scratch.offset + RESULT_ROOM;
    const records = marks + WINDOW_PAGES / 8;
    const room = scratch.offset + scratch.length - records;
    if (room < MIN_ROOM || input.length > room || isTail(input, this.#copied)) return NOTHING;
    const kernels = this.#bindings.for(memory);
    const first = Math.max(page - (page % WINDOW_PAGES), start / size);
    if (kernels.implementation === "js" || first % 8 !== 0) return NOTHING;

    const behind = Math.min(first + WINDOW_PAGES, Math.min(end, usedLength) / size);
    const heap = new Uint8Array(memory.buffer);
    const window = received.subarray(first / 8, Math.ceil(behind / 8));
    heap.set(window, marks);
    heap.set(input, records);
    this.#copied = input;
    const done = kernels.decodePages({
      ram: address + (first * size - start),
      pageSize: size,
      blockPage: first,
      pages: behind - first,
      input: records,
      inputEnd: records + input.length,
      received: marks,
      result: scratch.offset,
    });
    window.set(heap.subarray(marks, marks + window.length));
    return done;
  }
}

/** Does `input` begin inside `chunk` and end where it ends? */
function isTail(input: Uint8Array, chunk: Uint8Array): boolean {
  const sameEnd = input.byteOffset + input.length === chunk.byteOffset + chunk.length;
  return sameEnd && input.length < chunk.length && input.buffer === chunk.buffer;
}
