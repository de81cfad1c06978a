// Which pages differ from their shadow, as a host does it.

#include "references.h"

#include <string.h>

// changedPages(a, b, pageSize, count): how many of the pages at `a` and at `b` differ.
uint32_t changedPages(uint8_t *memory, const uint32_t *argument) {
  const uint8_t *a = memory + argument[0], *b = memory + argument[1];
  const uint32_t size = argument[2];
  uint32_t changed = 0;
  for (uint32_t i = 0; i < argument[3]; i++, a += size, b += size) changed += memcmp(a, b, size) != 0;
  return changed;
}
