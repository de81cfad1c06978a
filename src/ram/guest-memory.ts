import type { GrowableBuffer } from "../kernels/index.js";

/** A part of a memory that the emulator may grow, such as guest RAM inside its `WebAssembly.Memory`. */
export interface LinearMemory {
  readonly memory: GrowableBuffer;
  /** Byte address of the guest's first byte. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /**
   * Bytes of the same memory that belong to us: with them whole runs of pages are encoded and decoded in place. Such
   * a memory must not grow while a save is under way, nor these bytes be used: that is, until the save has resolved or
   * rejected, which it does only when the sink is done with them. 64 KiB and more are worth having.
   */
  readonly scratch?: { readonly offset: number; readonly length: number } | undefined;
}

/** Memory made of parts, for guests larger than one buffer can be. Each part is a whole number of pages. */
export interface SegmentedMemory {
  readonly segments: readonly (Uint8Array | LinearMemory)[];
}

/** What an emulator may give as the memory of a RAMBlock. */
export type MemorySource = Uint8Array | LinearMemory | SegmentedMemory;

/** A contiguous part of a guest's memory. */
export interface MemorySegment {
  /** Offset of its first byte in the block. */
  readonly start: number;
  /** Offset in the block of the byte behind its last. */
  readonly end: number;
  /** What kernels can be bound to, to work in place. */
  readonly memory: GrowableBuffer;
  /** Address of its first byte in that memory. */
  readonly address: number;
  readonly scratch: { readonly offset: number; readonly length: number } | null;
}

/**
 * The memory of a RAMBlock. Views are made anew for each use and never kept: the buffer under a `WebAssembly.Memory`
 * is replaced when it grows, and it may grow whenever the emulator runs.
 */
export class GuestMemory {
  /** Bytes. */
  readonly length: number;
  readonly segments: readonly MemorySegment[];

  /** @throws TypeError or RangeError if a part does not lie in its memory */
  constructor(source: MemorySource) {
    const parts = "segments" in source ? source.segments : [source];
    const segments: MemorySegment[] = [];
    let start = 0;
    for (const part of parts) {
      segments.push(segment(part, start));
      start += part.length;
    }
    this.segments = segments;
    this.length = start;
  }

  /** The segment that holds the byte at `offset` of the block. */
  segmentAt(offset: number): MemorySegment {
    const { segments } = this;
    let [first, behind] = [0, segments.length];
    while (first < behind) {
      const middle = (first + behind) >>> 1;
      if (offset < segments[middle].end) behind = middle;
      else first = middle + 1;
    }
    if (first < segments.length) return segments[first];
    throw new RangeError(`Access guest memory at ${offset}: it ends at ${this.length}`);
  }

  /** `length` bytes from `offset` on, in one segment. Valid until the emulator runs again. */
  view(offset: number, length: number): Uint8Array {
    const { memory, address, start, end } = this.segmentAt(offset);
    if (offset + length > end) throw new RangeError(`Access guest memory at ${offset}: the segment ends at ${end}`);
    return new Uint8Array(memory.buffer, address + (offset - start), length);
  }

  /** Set all bytes of a range that may span segments to zero. */
  clear(offset: number, length: number): void {
    this.#forEachPart(offset, length, (view) => view.fill(0));
  }

  /** Copy `bytes` to `offset`, across segments if need be. */
  write(offset: number, bytes: Uint8Array): void {
    this.#forEachPart(offset, bytes.length, (view, at) => {
      view.set(view.length === bytes.length ? bytes : bytes.subarray(at, at + view.length));
    });
  }

  #forEachPart(offset: number, length: number, visit: (view: Uint8Array, at: number) => void): void {
    let done = 0;
    while (done < length) {
      const { end } = this.segmentAt(offset + done);
      const step = Math.min(length - done, end - offset - done);
      visit(this.view(offset + done, step), done);
      done += step;
    }
  }
}

function segment(part: Uint8Array | LinearMemory, start: number): MemorySegment {
  const end = start + part.length;
  if (part instanceof Uint8Array) {
    // Bytes cannot follow a memory that grows, but their buffer can be asked whether it is still there.
    return { start, end, memory: new FixedBuffer(part.buffer), address: part.byteOffset, scratch: null };
  }
  const { memory, offset, length, scratch = null } = part;
  if (typeof memory !== "object" || !("buffer" in memory)) {
    throw new TypeError("Register RAM: expected bytes, or { memory, offset, length }");
  }
  for (const [what, range] of [
    ["memory", { offset, length }],
    ["scratch region", scratch],
  ] as const) {
    if (range === null) continue;
    const inside = isCount(range.offset) && isCount(range.length);
    if (!inside || range.offset + range.length > memory.buffer.byteLength) {
      throw new RangeError(
        `Register RAM: its ${what} at ${range.offset}, ${range.length} bytes, is not inside the buffer of ${memory.buffer.byteLength}`,
      );
    }
  }
  if (scratch !== null && scratch.offset < offset + length && offset < scratch.offset + scratch.length) {
    throw new RangeError("Register RAM: its scratch region overlaps guest memory");
  }
  return { start, end, memory, address: offset, scratch };
}

/** A buffer that is expected to stay. */
class FixedBuffer implements GrowableBuffer {
  readonly #buffer: ArrayBufferLike;
  readonly #length: number;

  constructor(buffer: ArrayBufferLike) {
    this.#buffer = buffer;
    this.#length = buffer.byteLength;
  }

  get buffer(): ArrayBufferLike {
    if (this.#buffer.byteLength !== this.#length) {
      throw new TypeError(
        "Access guest memory: its buffer is gone; register { memory, offset, length } if it can grow",
      );
    }
    return this.#buffer;
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
