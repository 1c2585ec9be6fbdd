/* Rounds until points of the plane leave: two at a time as doubles. */
#include "common.h"
#define MOST 100

EXPORT(run) int32_t run(int32_t size) {
    uint32_t sum = 0;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x += 2) {
#ifdef VECTOR
            v128_t cx = wasm_f64x2_add(
                wasm_f64x2_mul(wasm_f64x2_make(x, x + 1), wasm_f64x2_splat(3.0 / 256)),
                wasm_f64x2_splat(-2));
            v128_t cy = wasm_f64x2_splat(y * (3.0 / 256) + -1.5), zx = cx, zy = cy, count = wasm_i64x2_splat(0);
            for (int i = 0; i < MOST; i++) {
                v128_t xx = wasm_f64x2_mul(zx, zx), yy = wasm_f64x2_mul(zy, zy);
                v128_t in = wasm_f64x2_le(wasm_f64x2_add(xx, yy), wasm_f64x2_splat(4));
                if (!wasm_v128_any_true(in))
                    break;
                count = wasm_i64x2_sub(count, in);
                v128_t xy = wasm_f64x2_mul(zx, zy);
                zx = wasm_f64x2_add(wasm_f64x2_sub(xx, yy), cx);
                zy = wasm_f64x2_add(wasm_f64x2_add(xy, xy), cy);
            }
            sum += wasm_i64x2_extract_lane(count, 0) + wasm_i64x2_extract_lane(count, 1);
#else
            for (int k = 0; k < 2; k++) {
                double cx = (double)(x + k) * (3.0 / 256) + -2, cy = y * (3.0 / 256) + -1.5, zx = cx, zy = cy;
                for (int i = 0; i < MOST; i++) {
                    double xx = zx * zx, yy = zy * zy;
                    if (!(xx + yy <= 4))
                        break;
                    sum++;
                    double xy = zx * zy;
                    zx = xx - yy + cx;
                    zy = xy + xy + cy;
                }
            }
#endif
        }
    return sum;
}
