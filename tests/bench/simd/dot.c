/* Dot product of floats in sixteen sums, which both forms keep, so that they round alike. */
#include "common.h"
#define N 4096
#define SUMS 16
static float a[N], b[N];

EXPORT(run) int32_t run(int32_t rounds) {
    float total[SUMS] = {0};
    seed = 7;
    for (int i = 0; i < N; i++) {
        a[i] = (int32_t)next_number() / 2147483648.0f;
        b[i] = (int32_t)next_number() / 2147483648.0f;
    }
#ifdef VECTOR
    v128_t sum[SUMS / 4] = {0};
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < N; i += SUMS)
            for (int k = 0; k < SUMS / 4; k++)
                sum[k] = wasm_f32x4_add(
                    sum[k], wasm_f32x4_mul(wasm_v128_load(a + i + 4 * k), wasm_v128_load(b + i + 4 * k)));
    for (int k = 0; k < SUMS / 4; k++)
        wasm_v128_store(total + 4 * k, sum[k]);
#else
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < N; i += SUMS)
            for (int k = 0; k < SUMS; k++)
                total[k] += a[i + k] * b[i + k];
#endif
    return digest(total, sizeof total);
}
