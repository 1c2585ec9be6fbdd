/* Rounds until points of the plane leave: four at a time. */
#include "common.h"
#define MOST 100

EXPORT(run) int32_t run(int32_t size) {
    uint32_t sum = 0;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x += 4) {
#ifdef VECTOR
            v128_t cx = wasm_f32x4_add(
                wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_make(x, x + 1, x + 2, x + 3)), wasm_f32x4_splat(3.0f / 256)),
                wasm_f32x4_splat(-2));
            v128_t cy = wasm_f32x4_splat(y * (3.0f / 256) + -1.5f), zx = cx, zy = cy, count = wasm_i32x4_splat(0);
            for (int i = 0; i < MOST; i++) {
                v128_t xx = wasm_f32x4_mul(zx, zx), yy = wasm_f32x4_mul(zy, zy);
                v128_t in = wasm_f32x4_le(wasm_f32x4_add(xx, yy), wasm_f32x4_splat(4));
                if (!wasm_v128_any_true(in))
                    break;
                count = wasm_i32x4_sub(count, in);
                v128_t xy = wasm_f32x4_mul(zx, zy);
                zx = wasm_f32x4_add(wasm_f32x4_sub(xx, yy), cx);
                zy = wasm_f32x4_add(wasm_f32x4_add(xy, xy), cy);
            }
            sum += wasm_i32x4_extract_lane(count, 0) + wasm_i32x4_extract_lane(count, 1)
                + wasm_i32x4_extract_lane(count, 2) + wasm_i32x4_extract_lane(count, 3);
#else
            for (int k = 0; k < 4; k++) {
                float cx = (float)(x + k) * (3.0f / 256) + -2, cy = y * (3.0f / 256) + -1.5f, zx = cx, zy = cy;
                for (int i = 0; i < MOST; i++) {
                    float xx = zx * zx, yy = zy * zy;
                    if (!(xx + yy <= 4))
                        break;
                    sum++;
                    float xy = zx * zy;
                    zx = xx - yy + cx;
                    zy = xy + xy + cy;
                }
            }
#endif
        }
    return sum;
}
