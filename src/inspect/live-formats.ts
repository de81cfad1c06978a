import { StreamError } from "../errors.js";
import type { Decode } from "../stream/drive.js";
import type { BodyReader } from "./body-reader.js";

/** Reads one body from its first byte to its last. */
export type Framing = (body: BodyReader) => Decode<void>;

/**
 * Iterative sections other than RAM whose framing is known, so that their bodies can be told from what follows. Their
 * content is not looked at. The bodies of START, PART and END have the same form.
 */
const FRAMINGS: ReadonlyMap<string, Framing> = new Map([
  ["spapr/htab", spaprHtab],
  ["s390-storage_attributes", s390StorageAttributes],
  ["s390-skeys", s390StorageKeys],
  ["dirty-bitmap", dirtyBitmap],
  ["block", block],
]);

/** The framing of the section of that name, or null if nothing is known about it. */
export function liveFraming(idstr: string): Framing | null {
  return FRAMINGS.get(idstr) ?? null;
}

/**
 * The hash page table of a POWER machine (hw/ppc/spapr.c): be32, then
 * - all ones: there is none, and that is all
 * - other than 0: its size as a shift, and that is all
 * - 0: chunks of be32 index, be16 valid, be16 invalid, 16 bytes per valid entry, up to one of all zeros
 */
function* spaprHtab(body: BodyReader): Decode<void> {
  if ((yield* body.u32()) !== 0) return;
  for (;;) {
    const index = yield* body.u32();
    const valid = yield* body.u16();
    const invalid = yield* body.u16();
    if (index === 0 && valid === 0 && invalid === 0) return;
    yield* body.skip(valid * 16);
  }
}

/** CMMA values (hw/s390x/s390-stattrib.c): be64 address | 2, be64 count, bytes; 8 is the last round; 1 ends the body. */
function* s390StorageAttributes(body: BodyReader): Decode<void> {
  for (;;) {
    const flags = yield* s390Flags(body);
    if (flags === 1) return;
    if (flags === 2) yield* body.skip(yield* body.u64());
    else if (flags !== 8) throw unknownFlags("s390-storage_attributes", flags, body);
  }
}

/** Storage keys (hw/s390x/s390-skeys.c): be64 address | 2, be64 count, a byte for each page; 1 ends the body. */
function* s390StorageKeys(body: BodyReader): Decode<void> {
  for (;;) {
    const flags = yield* s390Flags(body);
    if (flags === 1) return;
    if (flags !== 2) throw unknownFlags("s390-skeys", flags, body);
    yield* body.skip(yield* body.u64());
  }
}

/** Flags are the bits below the page, which always has 4 KiB. */
function* s390Flags(body: BodyReader): Decode<number> {
  yield* body.u32();
  return (yield* body.u32()) & 0xfff;
}

const BITMAP_EOS = 0x01;
const BITMAP_ZEROES = 0x02;
const BITMAP_NAME = 0x04;
const BITMAP_DEVICE = 0x08;
const BITMAP_START = 0x10;
const BITMAP_BITS = 0x40;

/** Dirty bitmaps of block devices (migration/block-dirty-bitmap.c): flagged chunks up to one with the EOS flag. */
function* dirtyBitmap(body: BodyReader): Decode<void> {
  for (let flags = 0; (flags & BITMAP_EOS) === 0;) {
    flags = yield* body.u8();
    if ((flags & 0x80) !== 0) throw unknownFlags("dirty-bitmap", flags, body);
    for (const named of [BITMAP_DEVICE, BITMAP_NAME]) {
      if ((flags & named) !== 0) yield* body.skip(yield* body.u8());
    }
    if ((flags & BITMAP_START) !== 0) yield* body.skip(4 + 1);
    else if ((flags & BITMAP_BITS) !== 0) {
      yield* body.skip(8 + 4);
      if ((flags & BITMAP_ZEROES) === 0) yield* body.skip(yield* body.u64());
    }
  }
}

const BLOCK_EOS = 2;
const BLOCK_PROGRESS = 4;
const BLOCK_DEVICE = 1;
const BLOCK_ZERO = 8;
const BLOCK_BYTES = 1 << 20;

/** Block devices (migration/block.c, removed in 9.1): be64 sector << 9 | flags, up to the EOS flag. */
function* block(body: BodyReader): Decode<void> {
  for (;;) {
    yield* body.u32();
    const flags = (yield* body.u32()) & 0x1ff;
    if (flags === BLOCK_EOS) return;
    if (flags === BLOCK_PROGRESS) continue;
    if ((flags & ~BLOCK_ZERO) !== BLOCK_DEVICE) throw unknownFlags("block", flags, body);
    yield* body.skip(yield* body.u8());
    if ((flags & BLOCK_ZERO) === 0) yield* body.skip(BLOCK_BYTES);
  }
}

function unknownFlags(name: string, flags: number, { offset }: BodyReader): StreamError {
  const message = `Read a record of "${name}": its flags 0x${flags.toString(16)} are unknown`;
  return new StreamError("UNDELIMITED", message, { offset });
}
