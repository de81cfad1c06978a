// XBZRLE as a host without vector code does it: words of 8 bytes where the position is a multiple of 8, else bytes.

#include "references.h"

#include <string.h>

#define WORD sizeof(uint64_t)
#define LOW_BITS 0x0101010101010101u

static uint64_t word(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static int has_zero_byte(uint64_t value) { return ((value - LOW_BITS) & ~value & (LOW_BITS << 7)) != 0; }

static uint32_t equal_run_end(const uint8_t *a, const uint8_t *b, uint32_t i, uint32_t length) {
  while (i < length && (length - i) % WORD) {
    if (a[i] != b[i]) return i;
    i++;
  }
  while (i < length && word(a + i) == word(b + i)) i += WORD;
  while (i < length && a[i] == b[i]) i++;
  return i;
}

static uint32_t differing_run_end(const uint8_t *a, const uint8_t *b, uint32_t i, uint32_t length) {
  while (i < length && (length - i) % WORD) {
    if (a[i] == b[i]) return i;
    i++;
  }
  while (i < length && !has_zero_byte(word(a + i) ^ word(b + i))) i += WORD;
  while (i < length && a[i] != b[i]) i++;
  return i;
}

/** Writes 1 or 2 bytes of ULEB128 and returns how many. */
static int put_length(uint8_t *out, uint32_t length) {
  if (length < 0x80) {
    out[0] = (uint8_t)length;
    return 1;
  }
  out[0] = (uint8_t)(length | 0x80);
  out[1] = (uint8_t)(length >> 7);
  return 2;
}

/** Reads 1 or 2 bytes of ULEB128 and returns how many, or -1. */
static int get_length(const uint8_t *in, uint32_t *length) {
  if (!(in[0] & 0x80)) {
    *length = in[0];
    return 1;
  }
  if (in[1] & 0x80) return -1;
  *length = (in[0] & 0x7f) | (uint32_t)in[1] << 7;
  return 2;
}

/** Length of the encoding, 0 for equal pages, -1 where it does not fit. */
static int encode(const uint8_t *old, const uint8_t *new, int length, uint8_t *out, int capacity) {
  int done = 0;
  for (int i = 0; i < length;) {
    if (done + 2 > capacity) return -1;
    int start = i;
    i = (int)equal_run_end(old, new, (uint32_t)i, (uint32_t)length);
    if (i - start == length) return 0;
    if (i == length) return done;
    done += put_length(out + done, (uint32_t)(i - start));

    if (done + 2 > capacity) return -1;
    start = i;
    i = (int)differing_run_end(old, new, (uint32_t)i, (uint32_t)length);
    done += put_length(out + done, (uint32_t)(i - start));
    if (done + i - start > capacity) return -1;
    memcpy(out + done, new + start, (size_t)(i - start));
    done += i - start;
  }
  return done;
}

/** Where the last byte was written, or -1 for what is no encoding. */
static int decode(const uint8_t *in, int length, uint8_t *page, int size) {
  int at = 0;
  for (int i = 0; i < length;) {
    uint32_t run;
    if (length - i < 2) return -1;
    int width = get_length(in + i, &run);
    if (width < 0 || (i && !run)) return -1;
    i += width;
    at += (int)run;
    if (at > size || length - i < 2) return -1;

    width = get_length(in + i, &run);
    if (width < 0 || !run) return -1;
    i += width;
    if (at + (int)run > size || i + (int)run > length) return -1;
    memcpy(page + at, in + i, run);
    at += (int)run;
    i += (int)run;
  }
  return at;
}

// xbzrleEncode(old, new, pageSize, count, out, slots): each page to the next of `slots` outputs of a page each;
// the sum of the results.
uint32_t xbzrleEncode(uint8_t *memory, const uint32_t *argument) {
  const uint8_t *old = memory + argument[0], *new = memory + argument[1];
  const uint32_t size = argument[2];
  uint32_t sum = 0;
  for (uint32_t i = 0; i < argument[3]; i++, old += size, new += size) {
    uint8_t *out = memory + argument[4] + i % argument[5] * size;
    sum += (uint32_t)encode(old, new, (int)size, out, (int)size);
  }
  return sum;
}

// xbzrleDecode(src, lengths, pages, pageSize, count): encodings one behind the other, their lengths as u32; the sum
// of the results.
uint32_t xbzrleDecode(uint8_t *memory, const uint32_t *argument) {
  const uint8_t *in = memory + argument[0];
  const uint32_t *lengths = (const uint32_t *)(memory + argument[1]);
  uint8_t *page = memory + argument[2];
  const uint32_t size = argument[3];
  uint32_t sum = 0;
  for (uint32_t i = 0; i < argument[4]; i++, page += size) {
    sum += (uint32_t)decode(in, (int)lengths[i], page, (int)size);
    in += lengths[i];
  }
  return sum;
}
