/* A picture of bytes blurred: the mean of three by three, as sums of sixteen bits times a reciprocal. */
#include "common.h"
#define W 256
#define H 64
static uint8_t from[H][W], to[H][W];

EXPORT(run) int32_t run(int32_t rounds) {
    seed = 5;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            from[y][x] = next_number() >> 24;
    for (int r = 0; r < rounds; r++) {
        for (int y = 1; y < H - 1; y++) {
#ifdef VECTOR
            for (int x = 0; x < W - 8; x += 8) {
                v128_t sum = wasm_i16x8_splat(0);
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = 0; dx <= 2; dx++)
                        sum = wasm_i16x8_add(sum, wasm_u16x8_load8x8(&from[y + dy][x + dx]));
                v128_t low = wasm_u32x4_extmul_low_u16x8(sum, wasm_i16x8_splat(7282));
                v128_t high = wasm_u32x4_extmul_high_u16x8(sum, wasm_i16x8_splat(7282));
                v128_t mean = wasm_i16x8_shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
                wasm_v128_store64_lane(&to[y][x + 1], wasm_u8x16_narrow_i16x8(mean, mean), 0);
            }
#else
            for (int x = 0; x < W - 8; x++) {
                uint32_t sum = 0;
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = 0; dx <= 2; dx++)
                        sum += from[y + dy][x + dx];
                to[y][x + 1] = sum * 7282 >> 16;
            }
#endif
        }
        from[1 + r % (H - 2)][1 + r % 200] ^= to[1 + r % (H - 2)][2] | 1;
    }
    return digest(to, sizeof to);
}
