// What the kernels are measured against. Every reference is called with the start of the bound memory and its
// arguments, byte offsets in that memory or counts, and returns a number.

#ifndef REFERENCES_H
#define REFERENCES_H

#include <stddef.h>
#include <stdint.h>

// Each name is a function of the addon and in one of the .c files.
#define REFERENCES(X)        \
  X(hasPopcnt)               \
  X(bitmapCount)             \
  X(bitmapCountPopcnt)       \
  X(hashPages)               \
  X(xbzrleDecode)            \
  X(xbzrleEncode)            \
  X(bitmapMergeClear)        \
  X(bitmapMergeClearPopcnt)  \
  X(bitmapNextSet)           \
  X(bitmapRuns)              \
  X(copy)                    \
  X(zeroPages)               \
  X(changedPages)            \
  X(encodeRam)               \
  X(decodeRam)

#define DECLARE(name) uint32_t name(uint8_t *memory, const uint32_t *argument);
REFERENCES(DECLARE)
#undef DECLARE

#endif
