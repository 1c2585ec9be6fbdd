/* Where a byte is first found: sixteen are compared at a time. */
#include "common.h"
#define N 8192
static uint8_t text[N + 16];

static int find(uint8_t byte) {
#ifdef VECTOR
    v128_t wanted = wasm_i8x16_splat(byte);
    for (int i = 0;; i += 16) {
        v128_t equal = wasm_i8x16_eq(wasm_v128_load(text + i), wanted);
        if (wasm_v128_any_true(equal))
            return i + __builtin_ctz(wasm_i8x16_bitmask(equal));
    }
#else
    int i = 0;
    while (text[i] != byte)
        i++;
    return i;
#endif
}

EXPORT(run) int32_t run(int32_t rounds) {
    uint32_t sum = 0;
    seed = 23;
    for (int i = 0; i < N; i++)
        text[i] = (next_number() >> 24) | 1;
    for (int r = 0; r < rounds; r++) {
        int at = 64 + (r * 613) % (N - 64);
        text[at] = 0;
        sum = sum * 31 + find(0);
        text[at] = 1;
    }
    return sum;
}
