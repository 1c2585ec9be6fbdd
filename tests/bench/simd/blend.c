/* One picture over another by a byte of opacity for each: as sixteen bits, divided by 255. */
#include "common.h"
#define N 4096
static uint8_t above[N], below[N], alpha[N];

EXPORT(run) int32_t run(int32_t rounds) {
    seed = 31;
    for (int i = 0; i < N; i++) {
        above[i] = next_number() >> 24;
        below[i] = next_number() >> 24;
        alpha[i] = next_number() >> 24;
    }
    for (int r = 0; r < rounds; r++) {
#ifdef VECTOR
        for (int i = 0; i < N; i += 16) {
            v128_t s = wasm_v128_load(above + i), d = wasm_v128_load(below + i), a = wasm_v128_load(alpha + i);
            v128_t b = wasm_v128_not(a);
            v128_t low = wasm_i16x8_add(wasm_u16x8_extmul_low_u8x16(s, a), wasm_u16x8_extmul_low_u8x16(d, b));
            v128_t high = wasm_i16x8_add(wasm_u16x8_extmul_high_u8x16(s, a), wasm_u16x8_extmul_high_u8x16(d, b));
            low = wasm_i16x8_add(low, wasm_i16x8_splat(128));
            high = wasm_i16x8_add(high, wasm_i16x8_splat(128));
            low = wasm_u16x8_shr(wasm_i16x8_add(low, wasm_u16x8_shr(low, 8)), 8);
            high = wasm_u16x8_shr(wasm_i16x8_add(high, wasm_u16x8_shr(high, 8)), 8);
            wasm_v128_store(below + i, wasm_u8x16_narrow_i16x8(low, high));
        }
#else
        for (int i = 0; i < N; i++) {
            uint32_t t = above[i] * alpha[i] + below[i] * (255 - alpha[i]) + 128;
            below[i] = (t + (t >> 8)) >> 8;
        }
#endif
        above[r % N] ^= below[(r * 7) % N];
    }
    return digest(below, N);
}
