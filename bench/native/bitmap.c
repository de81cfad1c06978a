// Dirty bitmaps, as a host walks them: words of 64 bits, the next set bit, then the next clear one, and so on.

#include "references.h"

#define WORD_BITS 64
#define WORD_OF(bit) ((bit) / WORD_BITS)
#define ALL_ONES (~(uint64_t)0)

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/// First set bit in [from, end), else end. Goes by four words while they are zero.
static __attribute__((noinline)) uint32_t next_set(const uint64_t *bitmap, uint32_t from, uint32_t end) {
  if (from >= end) return end;
  uint32_t at = WORD_OF(from);
  uint32_t last = WORD_OF(end - 1);
  uint64_t bits = bitmap[at] & (ALL_ONES << (from % WORD_BITS));
  if (!bits) {
    at++;
    while (at + 4 <= last && !(bitmap[at] | bitmap[at + 1] | bitmap[at + 2] | bitmap[at + 3])) at += 4;
    while (at <= last && !bitmap[at]) at++;
    if (at > last) return end;
    bits = bitmap[at];
  }
  return smaller(at * WORD_BITS + __builtin_ctzll(bits), end);
}

/// First clear bit in [from, end), else end. Goes by single words.
static __attribute__((noinline)) uint32_t next_clear(const uint64_t *bitmap, uint32_t from, uint32_t end) {
  if (from >= end) return end;
  uint32_t at = WORD_OF(from);
  uint32_t last = WORD_OF(end - 1);
  uint64_t bits = ~bitmap[at] & (ALL_ONES << (from % WORD_BITS));
  if (!bits) {
    at++;
    while (at <= last && !~bitmap[at]) at++;
    if (at > last) return end;
    bits = ~bitmap[at];
  }
  return smaller(at * WORD_BITS + __builtin_ctzll(bits), end);
}

// bitmapNextSet(bitmap, from, end): the first set bit, or end.
uint32_t bitmapNextSet(uint8_t *memory, const uint32_t *argument) {
  return next_set((const uint64_t *)(memory + argument[0]), argument[1], argument[2]);
}

// bitmapRuns(bitmap, from, end, out, capacity): writes runs of set bits as pairs; how many pairs.
uint32_t bitmapRuns(uint8_t *memory, const uint32_t *argument) {
  const uint64_t *bitmap = (const uint64_t *)(memory + argument[0]);
  uint32_t from = argument[1], end = argument[2], capacity = argument[4];
  uint32_t *out = (uint32_t *)(memory + argument[3]);
  uint32_t runs = 0;
  while (runs < capacity && (from = next_set(bitmap, from, end)) < end) {
    out[2 * runs] = from;
    out[2 * runs + 1] = from = next_clear(bitmap, from, end);
    runs++;
  }
  return runs;
}

// bitmapCount(bitmap, bits): how many of a multiple of 64 bits are set.
uint32_t bitmapCount(uint8_t *memory, const uint32_t *argument) {
  const uint64_t *bitmap = (const uint64_t *)(memory + argument[0]);
  uint64_t count = 0;
  for (uint32_t i = 0; i < argument[1] / WORD_BITS; i++) count += __builtin_popcountll(bitmap[i]);
  return count;
}

// bitmapMergeClear(target, source, bits): moves a multiple of 64 bits, in which other threads may be setting more;
// how many were new.
uint32_t bitmapMergeClear(uint8_t *memory, const uint32_t *argument) {
  uint64_t *target = (uint64_t *)(memory + argument[0]);
  uint64_t *source = (uint64_t *)(memory + argument[1]);
  uint64_t added = 0;
  for (uint32_t i = 0; i < argument[2] / WORD_BITS; i++) {
    if (!__atomic_load_n(&source[i], __ATOMIC_RELAXED)) continue;
    uint64_t taken = __atomic_exchange_n(&source[i], 0, __ATOMIC_SEQ_CST);
    added += __builtin_popcountll(taken & ~target[i]);
    target[i] |= taken;
  }
  return added;
}

// The same with the instruction that counts bits, which -O2 alone leaves out since not every processor of x86-64 has
// it, and with the bound in a register.
#if defined(__x86_64__)
#define POPCNT __attribute__((target("popcnt")))
#define HAS_POPCNT (__builtin_cpu_supports("popcnt") != 0)
#else
#define POPCNT
#define HAS_POPCNT 0
#endif

// hasPopcnt(): 1 if the next two functions differ from the last two and this processor can run them.
uint32_t hasPopcnt(uint8_t *memory, const uint32_t *argument) {
  (void)memory;
  (void)argument;
  return HAS_POPCNT;
}

// bitmapCountPopcnt(bitmap, bits)
POPCNT uint32_t bitmapCountPopcnt(uint8_t *memory, const uint32_t *argument) {
  const uint64_t *bitmap = (const uint64_t *)(memory + argument[0]);
  const uint32_t words = argument[1] / WORD_BITS;
  uint64_t count = 0;
  for (uint32_t i = 0; i < words; i++) count += __builtin_popcountll(bitmap[i]);
  return count;
}

// bitmapMergeClearPopcnt(target, source, bits)
POPCNT uint32_t bitmapMergeClearPopcnt(uint8_t *memory, const uint32_t *argument) {
  uint64_t *target = (uint64_t *)(memory + argument[0]);
  uint64_t *source = (uint64_t *)(memory + argument[1]);
  const uint32_t words = argument[2] / WORD_BITS;
  uint64_t added = 0;
  for (uint32_t i = 0; i < words; i++) {
    if (!__atomic_load_n(&source[i], __ATOMIC_RELAXED)) continue;
    uint64_t taken = __atomic_exchange_n(&source[i], 0, __ATOMIC_SEQ_CST);
    added += __builtin_popcountll(taken & ~target[i]);
    target[i] |= taken;
  }
  return added;
}
