/* Where a block of sixteen by sixteen bytes differs least from a picture: sums of absolute differences. */
#include "common.h"
#define W 128
static uint8_t picture[W][W], block[16][16];

static uint32_t difference(int x, int y) {
#ifdef VECTOR
    v128_t sum = wasm_i32x4_splat(0);
    for (int i = 0; i < 16; i++) {
        v128_t a = wasm_v128_load(&picture[y + i][x]), b = wasm_v128_load(block[i]);
        v128_t d = wasm_v128_or(wasm_u8x16_sub_sat(a, b), wasm_u8x16_sub_sat(b, a));
        sum = wasm_i32x4_add(sum, wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(d)));
    }
    return wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1) + wasm_i32x4_extract_lane(sum, 2)
        + wasm_i32x4_extract_lane(sum, 3);
#else
    uint32_t sum = 0;
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++) {
            int d = picture[y + i][x + k] - block[i][k];
            sum += d < 0 ? -d : d;
        }
    return sum;
#endif
}

EXPORT(run) int32_t run(int32_t rounds) {
    uint32_t sum = 0;
    seed = 29;
    for (int y = 0; y < W; y++)
        for (int x = 0; x < W; x++)
            picture[y][x] = next_number() >> 24;
    for (int r = 0; r < rounds; r++) {
        uint32_t least = ~0u, where = 0;
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < 16; k++)
                block[i][k] = picture[(r + i) % W][(r * 3 + k) % W] ^ (k == 3);
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 16; x++) {
                uint32_t d = difference(x + r % 64, y);
                if (d < least)
                    least = d, where = y * 16 + x;
            }
        sum = sum * 31 + where + least;
    }
    return sum;
}
