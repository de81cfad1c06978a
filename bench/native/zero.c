// Which pages are zero, as a host does it: a sample of words, then 128 bytes at a time, with AVX2 where there is.

#include "references.h"

#include <string.h>

static uint64_t word(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static int is_zero_generic(const uint8_t *page, uint32_t size) {
  for (uint32_t i = 0; i < size; i += 64) {
    uint64_t any = 0;
    for (uint32_t j = 0; j < 64; j += 8) any |= word(page + i + j);
    if (any) return 0;
  }
  return 1;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static int is_zero_avx2(const uint8_t *page, uint32_t size) {
  for (uint32_t i = 0; i < size; i += 128) {
    const __m256i *at = (const __m256i *)(page + i);
    __m256i any = _mm256_or_si256(_mm256_or_si256(_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)),
                                  _mm256_or_si256(_mm256_loadu_si256(at + 2), _mm256_loadu_si256(at + 3)));
    if (!_mm256_testz_si256(any, any)) return 0;
  }
  return 1;
}
#endif

int is_zero_page(const uint8_t *page, uint32_t size) {
  if (word(page) | word(page + size / 2) | word(page + size - 8)) return 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return is_zero_avx2(page, size);
#endif
  return is_zero_generic(page, size);
}

// zeroPages(first, pageSize, count): how many of the pages are zero.
uint32_t zeroPages(uint8_t *memory, const uint32_t *argument) {
  const uint8_t *page = memory + argument[0];
  uint32_t zeros = 0;
  for (uint32_t i = 0; i < argument[2]; i++, page += argument[1]) zeros += is_zero_page(page, argument[1]);
  return zeros;
}

// copy(target, source, length): memcpy, in chunks that a caller would move.
uint32_t copy(uint8_t *memory, const uint32_t *argument) {
  memcpy(memory + argument[0], memory + argument[1], argument[2]);
  return 0;
}
