/* What the kernels share: sizes, numbers that look random, a digest. VECTOR says which of the two forms is built. */
#include <stdint.h>
#include <stddef.h>
#ifdef VECTOR
#include <wasm_simd128.h>
#endif

#define EXPORT(name) __attribute__((export_name(#name)))

static uint32_t seed = 1;

static inline uint32_t next_number(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

typedef uint32_t __attribute__((may_alias)) any_word;

static inline uint32_t digest(const void *at, size_t bytes) {
    const any_word *words = at;
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes / 4; i++)
        sum = (sum << 5 | sum >> 27) ^ words[i];
    return sum;
}
