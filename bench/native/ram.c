// RAM section records, in the shape of a host's save and load: one page after the other, each with its dirty or
// received bit, the zero test of zero.c and memcpy.

#include "references.h"

#include <string.h>

enum { ZERO = 0x02, PAGE = 0x08, CONTINUE = 0x20 };

int is_zero_page(const uint8_t *page, uint32_t size); // zero.c

static uint64_t load_word(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static void store_word(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

/** The first set bit of [from, end), or `end`. The bitmap is made of whole words. */
static uint32_t next_set(const uint8_t *bitmap, uint32_t from, uint32_t end) {
  if (from >= end) return end;
  uint32_t base = from & ~63u;
  uint64_t bits = load_word(bitmap + base / 8) & (~(uint64_t)0 << (from & 63));
  while (!bits) {
    if ((base += 64) >= end) return end;
    bits = load_word(bitmap + base / 8);
  }
  const uint32_t found = base + (uint32_t)__builtin_ctzll(bits);
  return found < end ? found : end;
}

/**
 * encodeRam(bitmap, first, end, ram, pageSize, blockPage, out, outEnd, result): records of the dirty pages [first, end)
 * to [out, outEnd), until the next one does not fit. Gives the first page not handled; at `result`: bytes, ZERO records,
 * PAGE records.
 */
uint32_t encodeRam(uint8_t *memory, const uint32_t *argument) {
  uint8_t *bitmap = memory + argument[0];
  const uint32_t end = argument[2], size = argument[4];
  const uint8_t *ram = memory + argument[3];
  const uint64_t block_page = argument[5];
  uint8_t *const out = memory + argument[6], *const out_end = memory + argument[7];
  uint32_t *result = (uint32_t *)(memory + argument[8]);
  const int shift = __builtin_ctz(size);
  uint32_t zeros = 0, normals = 0;
  uint8_t *at = out;
  uint32_t page = next_set(bitmap, argument[1], end);
  while (page < end) {
    const uint8_t *source = ram + ((size_t)page << shift);
    const uint64_t word = (block_page + page) << shift | CONTINUE;
    if (is_zero_page(source, size)) {
      if (out_end - at < 9) break;
      store_word(at, __builtin_bswap64(word | ZERO));
      at[8] = 0;
      at += 9;
      zeros++;
    } else {
      if (out_end - at < 8 + (ptrdiff_t)size) break;
      store_word(at, __builtin_bswap64(word | PAGE));
      memcpy(at + 8, source, size);
      at += 8 + size;
      normals++;
    }
    bitmap[page >> 3] &= (uint8_t) ~(1 << (page & 7));
    page = next_set(bitmap, page + 1, end);
  }
  result[0] = (uint32_t)(at - out);
  result[1] = zeros;
  result[2] = normals;
  return page;
}

/**
 * decodeRam(input, inputEnd, ram, pageSize, blockPage, pages, received, result): places the records. Gives the bytes used;
 * at `result`: ZERO records, PAGE records.
 */
uint32_t decodeRam(uint8_t *memory, const uint32_t *argument) {
  const uint8_t *const input = memory + argument[0], *const input_end = memory + argument[1];
  uint8_t *ram = memory + argument[2], *received = memory + argument[6];
  const uint32_t size = argument[3], pages = argument[5];
  const uint64_t block_page = argument[4];
  uint32_t *result = (uint32_t *)(memory + argument[7]);
  const int shift = __builtin_ctz(size);
  uint32_t zeros = 0, normals = 0;
  const uint8_t *at = input;
  while (input_end - at >= 9) {
    const uint64_t word = __builtin_bswap64(load_word(at));
    const uint64_t page = (word >> shift) - block_page;
    if (page >= pages) break;
    uint8_t *target = ram + (page << shift);
    const uint32_t flags = word & (size - 1);
    if (flags == (ZERO | CONTINUE)) {
      const uint8_t fill = at[8];
      if (fill || !is_zero_page(target, size)) memset(target, fill, size);
      at += 9;
      zeros++;
    } else if (flags == (PAGE | CONTINUE)) {
      if (input_end - at < 8 + (ptrdiff_t)size) break;
      memcpy(target, at + 8, size);
      at += 8 + size;
      normals++;
    } else {
      break;
    }
    received[page >> 3] |= (uint8_t)(1 << (page & 7));
  }
  result[0] = zeros;
  result[1] = normals;
  return (uint32_t)(at - input);
}
