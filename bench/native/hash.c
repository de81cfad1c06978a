// XXH3 with 64 bits, seed 0, of inputs above 240 bytes: the published algorithm, with SSE2 as most builds have it.

#include "references.h"

#include <string.h>

#define STRIPE 64u
#define SECRET_WORDS 24
#define BLOCK_STRIPES 16u
#define BLOCK (BLOCK_STRIPES * STRIPE)

#define PRIME32_1 0x9E3779B1u
#define PRIME32_2 0x85EBCA77u
#define PRIME32_3 0xC2B2AE3Du
#define PRIME64_1 0x9E3779B185EBCA87u
#define PRIME64_2 0xC2B2AE3D27D4EB4Fu
#define PRIME64_3 0x165667B19E3779F9u
#define PRIME64_4 0x85EBCA77C2B2AE63u
#define PRIME64_5 0x27D4EB2F165667C5u

// The default secret, as little-endian words.
static const uint64_t SECRET[SECRET_WORDS] = {
    0xbe4ba423396cfeb8u, 0x1cad21f72c81017cu, 0xdb979083e96dd4deu, 0x1f67b3b7a4a44072u,
    0x78e5c0cc4ee679cbu, 0x2172ffcc7dd05a82u, 0x8e2443f7744608b8u, 0x4c263a81e69035e0u,
    0xcb00c391bb52283cu, 0xa32e531b8b65d088u, 0x4ef90da297486471u, 0xd8acdea946ef1938u,
    0x3f349ce33f76faa8u, 0x1d4f0bc7c7bbdcf9u, 0x3159b4cd4be0518au, 0x647378d9c97e9fc8u,
    0xc3ebd33483acc5eau, 0xeb6313faffa081c5u, 0x49daf0b751dd0d17u, 0x9e68d429265516d3u,
    0xfca1477d58be162bu, 0xce31d07ad1b8f88fu, 0x280416958f3acb45u, 0x7e404bbbcafbd7afu,
};

static const uint64_t START[8] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                                  PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};

static uint64_t word(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

#if defined(__SSE2__)
#include <emmintrin.h>

typedef __m128i sums[4];

static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)at); }

static inline void start(sums sum) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) sum[i] = load((const uint8_t *)(START + 2 * i));
}

static inline void accumulate(sums sum, const uint8_t *in, const uint8_t *secret) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m128i data = load(in + 16 * i);
    const __m128i keyed = _mm_xor_si128(data, load(secret + 16 * i));
    const __m128i product = _mm_mul_epu32(keyed, _mm_shuffle_epi32(keyed, _MM_SHUFFLE(0, 3, 0, 1)));
    sum[i] = _mm_add_epi64(product, _mm_add_epi64(sum[i], _mm_shuffle_epi32(data, _MM_SHUFFLE(1, 0, 3, 2))));
  }
}

static inline void scramble(sums sum, const uint8_t *secret) {
  const __m128i prime = _mm_set1_epi32((int)PRIME32_1);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m128i folded = _mm_xor_si128(sum[i], _mm_srli_epi64(sum[i], 47));
    const __m128i keyed = _mm_xor_si128(folded, load(secret + 16 * i));
    const __m128i high = _mm_mul_epu32(_mm_shuffle_epi32(keyed, _MM_SHUFFLE(0, 3, 0, 1)), prime);
    sum[i] = _mm_add_epi64(_mm_mul_epu32(keyed, prime), _mm_slli_epi64(high, 32));
  }
}

static inline void get(uint64_t words[8], const sums sum) { memcpy(words, sum, 8 * sizeof *words); }
#else
typedef uint64_t sums[8];

static inline void start(sums sum) { memcpy(sum, START, sizeof START); }

static inline void accumulate(sums sum, const uint8_t *in, const uint8_t *secret) {
  for (int i = 0; i < 8; i++) {
    const uint64_t data = word(in + 8 * i), keyed = data ^ word(secret + 8 * i);
    sum[i ^ 1] += data;
    sum[i] += (keyed & 0xffffffffu) * (keyed >> 32);
  }
}

static inline void scramble(sums sum, const uint8_t *secret) {
  for (int i = 0; i < 8; i++) sum[i] = (sum[i] ^ sum[i] >> 47 ^ word(secret + 8 * i)) * PRIME32_1;
}

static inline void get(uint64_t words[8], const sums sum) { memcpy(words, sum, 8 * sizeof *words); }
#endif

static uint64_t fold_product(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_long(const uint8_t *in, uint32_t length) {
  const uint8_t *secret = (const uint8_t *)SECRET;
  const uint32_t blocks = (length - 1) / BLOCK;
  sums sum;
  start(sum);
  for (uint32_t block = 0; block < blocks; block++, in += BLOCK) {
    for (uint32_t i = 0; i < BLOCK_STRIPES; i++) {
      __builtin_prefetch(in + i * STRIPE + 320);
      accumulate(sum, in + i * STRIPE, secret + 8 * i);
    }
    scramble(sum, secret + sizeof SECRET - STRIPE);
  }
  const uint32_t rest = length - blocks * BLOCK;
  for (uint32_t i = 0; i < (rest - 1) / STRIPE; i++) accumulate(sum, in + i * STRIPE, secret + 8 * i);
  accumulate(sum, in + rest - STRIPE, secret + sizeof SECRET - STRIPE - 7);

  uint64_t words[8], hash = length * PRIME64_1;
  get(words, sum);
  for (int i = 0; i < 8; i += 2) {
    hash += fold_product(words[i] ^ word(secret + 11 + 8 * i), words[i + 1] ^ word(secret + 19 + 8 * i));
  }
  hash = (hash ^ hash >> 37) * 0x165667919E3779F9u;
  return hash ^ hash >> 32;
}

// hashPages(first, pageSize, count, out): the hash of each page, above 240 bytes, as 8 bytes at `out`.
uint32_t hashPages(uint8_t *memory, const uint32_t *argument) {
  const uint8_t *page = memory + argument[0];
  uint8_t *out = memory + argument[3];
  for (uint32_t i = 0; i < argument[2]; i++, page += argument[1], out += sizeof(uint64_t)) {
    const uint64_t hash = hash_long(page, argument[1]);
    memcpy(out, &hash, sizeof hash);
  }
  return argument[2];
}
