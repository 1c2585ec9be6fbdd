/* Bytes as letters of base64: twelve bytes become sixteen letters at a time. */
#include "common.h"
#define N 3072
static uint8_t in[N + 16], out[N / 3 * 4 + 16];
static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

EXPORT(run) int32_t run(int32_t rounds) {
    uint32_t sum = 0;
    seed = 17;
    for (int i = 0; i < N; i++)
        in[i] = next_number() >> 24;
    for (int r = 0; r < rounds; r++) {
#ifdef VECTOR
        for (int i = 0, o = 0; i < N; i += 12, o += 16) {
            v128_t v = wasm_v128_load(in + i);
            v = wasm_i8x16_shuffle(v, v, 1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
            v128_t x = wasm_v128_and(wasm_u32x4_shr(v, 10), wasm_i32x4_splat(0x0000003F));
            v128_t y = wasm_v128_and(wasm_i32x4_shl(v, 4), wasm_i32x4_splat(0x00003F00));
            v128_t z = wasm_v128_and(wasm_u32x4_shr(v, 6), wasm_i32x4_splat(0x003F0000));
            v128_t w = wasm_v128_and(wasm_i32x4_shl(v, 8), wasm_i32x4_splat(0x3F000000));
            v = wasm_v128_or(wasm_v128_or(x, y), wasm_v128_or(z, w));
            v128_t kind = wasm_u8x16_sub_sat(v, wasm_i8x16_splat(51));
            v128_t below = wasm_i8x16_lt(v, wasm_i8x16_splat(26));
            kind = wasm_v128_or(kind, wasm_v128_and(below, wasm_i8x16_splat(13)));
            v128_t distance = wasm_i8x16_swizzle(
                wasm_i8x16_const(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0), kind);
            wasm_v128_store(out + o, wasm_i8x16_add(v, distance));
        }
#else
        for (int i = 0, o = 0; i < N; i += 3, o += 4) {
            uint32_t three = in[i] << 16 | in[i + 1] << 8 | in[i + 2];
            out[o] = LETTERS[three >> 18];
            out[o + 1] = LETTERS[three >> 12 & 63];
            out[o + 2] = LETTERS[three >> 6 & 63];
            out[o + 3] = LETTERS[three & 63];
        }
#endif
        in[r % N] += out[r % N];
        sum += out[(r * 7) % N];
    }
    return sum ^ digest(out, N / 3 * 4);
}
