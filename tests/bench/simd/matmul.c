/* Product of matrices of floats, an element times sixteen of a row at a time. */
#include "common.h"
#define N 128
static float a[N][N], b[N][N], c[N][N];

EXPORT(run) int32_t run(int32_t rounds) {
    seed = 3;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (int32_t)next_number() / 2147483648.0f;
            b[i][j] = (int32_t)next_number() / 2147483648.0f;
        }
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j += 16) {
#ifdef VECTOR
                v128_t sum[4] = {0};
                for (int k = 0; k < N; k++) {
                    v128_t x = wasm_v128_load32_splat(&a[i][k]);
                    for (int l = 0; l < 4; l++)
                        sum[l] = wasm_f32x4_add(sum[l], wasm_f32x4_mul(x, wasm_v128_load(&b[k][j + 4 * l])));
                }
                for (int l = 0; l < 4; l++)
                    wasm_v128_store(&c[i][j + 4 * l], sum[l]);
#else
                float sum[16] = {0};
                for (int k = 0; k < N; k++)
                    for (int l = 0; l < 16; l++)
                        sum[l] += a[i][k] * b[k][j + l];
                for (int l = 0; l < 16; l++)
                    c[i][j + l] = sum[l];
#endif
            }
            a[i][r % N] += c[i][0] * 0.0078125f;
        }
    return digest(c, sizeof c);
}
