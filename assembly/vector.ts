// Small building blocks over 128-bit vectors, always inlined.

/** OR of the 64 bytes at `p`, as a tree so that no load waits for another. */
@inline
export function or64(p: usize): v128 {
  return v128.or(v128.or(v128.load(p), v128.load(p, 16)), v128.or(v128.load(p, 32), v128.load(p, 48)));
}

@inline
export function isZero128(p: usize): bool {
  return !v128.any_true(v128.or(or64(p), or64(p + 64)));
}

/** Non-zero bytes where the 64 bytes at `a` and at `b` differ. */
@inline
export function xor64(a: usize, b: usize): v128 {
  return v128.or(
    v128.or(v128.xor(v128.load(a), v128.load(b)), v128.xor(v128.load(a, 16), v128.load(b, 16))),
    v128.or(v128.xor(v128.load(a, 32), v128.load(b, 32)), v128.xor(v128.load(a, 48), v128.load(b, 48))),
  );
}

/** Are the 128 bytes at `a` and at `b` equal? */
@inline
export function equal128(a: usize, b: usize): bool {
  return !v128.any_true(v128.or(xor64(a, b), xor64(a + 64, b + 64)));
}

/** Bit j: byte j of the 16 at `a` equals byte j of the 16 at `b`. */
@inline
function equalMask16(a: usize, b: usize): u64 {
  return <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(a), v128.load(b))));
}

/** Bit j: byte j of the 64 at `a` differs from byte j of the 64 at `b`. */
@inline
export function differMask64(a: usize, b: usize): u64 {
  return ~(
    equalMask16(a, b) |
    (equalMask16(a + 16, b + 16) << 16) |
    (equalMask16(a + 32, b + 32) << 32) |
    (equalMask16(a + 48, b + 48) << 48)
  );
}

/**
 * Copies `length` bytes between regions that do not overlap, reading and writing nothing outside them. Short
 * copies are overlapping pairs: `memory.copy` costs some nanoseconds before it moves the first byte.
 */
export function copyBytes(target: usize, source: usize, length: usize): void {
  if (length < 4) {
    if (length == 0) return;
    store<u8>(target, load<u8>(source));
    if (length == 1) return;
    store<u8>(target + 1, load<u8>(source + 1));
    store<u8>(target + length - 1, load<u8>(source + length - 1));
  } else if (length < 8) {
    store<u32>(target, load<u32>(source));
    store<u32>(target + length - 4, load<u32>(source + length - 4));
  } else if (length < 16) {
    store<u64>(target, load<u64>(source));
    store<u64>(target + length - 8, load<u64>(source + length - 8));
  } else if (length <= 128) {
    const end = target + length - 16;
    const last = v128.load(source + length - 16);
    while (target < end) {
      v128.store(target, v128.load(source));
      target += 16;
      source += 16;
    }
    v128.store(end, last);
  } else {
    memory.copy(target, source, length);
  }
}

/**
 * Copies `length` bytes, a positive multiple of 64, between regions that do not overlap. For what goes from a cache to
 * cold memory: there this loop runs ahead into the next page, which `memory.copy` does not (on a Zen 4 it takes 1.5
 * times as long). From cold memory to a cache, `memory.copy` is the faster one.
 */
export function copyOut(target: usize, source: usize, length: usize): void {
  const end = source + length;
  while (source != end) {
    const v0 = v128.load(source);
    const v1 = v128.load(source, 16);
    const v2 = v128.load(source, 32);
    const v3 = v128.load(source, 48);
    v128.store(target, v0);
    v128.store(target, v1, 16);
    v128.store(target, v2, 32);
    v128.store(target, v3, 48);
    source += 64;
    target += 64;
  }
}
