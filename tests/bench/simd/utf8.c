/* Whether text is UTF-8: by tables of what two neighbours may be (Keiser and Lemire, 2021), or byte by byte. */
#include "common.h"
#define N 4096
static uint8_t text[N + 32];

#ifdef VECTOR
enum { SHORT = 1, LONG = 2, OVER3 = 4, LARGE = 8, SURROGATE = 16, OVER2 = 32, LARGE4 = 64, OVER4 = 64, TWO = -128 };
enum { CARRY = SHORT | LONG | TWO };
static int valid(void) {
    v128_t before = wasm_i8x16_splat(0), error = wasm_i8x16_splat(0);
    const v128_t first_high = wasm_i8x16_const(
        LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO, SHORT | OVER2, SHORT,
        SHORT | OVER3 | SURROGATE, SHORT | LARGE | LARGE4 | OVER4);
    const v128_t first_low = wasm_i8x16_const(
        CARRY | OVER3 | OVER2 | OVER4, CARRY | OVER2, CARRY, CARRY, CARRY | LARGE, CARRY | LARGE | LARGE4,
        CARRY | LARGE | LARGE4, CARRY | LARGE | LARGE4, CARRY | LARGE | LARGE4, CARRY | LARGE | LARGE4,
        CARRY | LARGE | LARGE4, CARRY | LARGE | LARGE4, CARRY | LARGE | LARGE4,
        CARRY | LARGE | LARGE4 | SURROGATE, CARRY | LARGE | LARGE4, CARRY | LARGE | LARGE4);
    const v128_t second_high = wasm_i8x16_const(
        SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, LONG | OVER2 | TWO | OVER3 | LARGE4 | OVER4,
        LONG | OVER2 | TWO | OVER3 | LARGE, LONG | OVER2 | TWO | SURROGATE | LARGE,
        LONG | OVER2 | TWO | SURROGATE | LARGE, SHORT, SHORT, SHORT, SHORT);
    for (int i = 0; i < N; i += 16) {
        v128_t v = wasm_v128_load(text + i);
        v128_t one = wasm_i8x16_shuffle(before, v, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
        v128_t two = wasm_i8x16_shuffle(before, v, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
        v128_t three = wasm_i8x16_shuffle(before, v, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
        v128_t special = wasm_v128_and(
            wasm_v128_and(wasm_i8x16_swizzle(first_high, wasm_u8x16_shr(one, 4)),
                          wasm_i8x16_swizzle(first_low, wasm_v128_and(one, wasm_i8x16_splat(15)))),
            wasm_i8x16_swizzle(second_high, wasm_u8x16_shr(v, 4)));
        v128_t more = wasm_v128_or(wasm_u8x16_sub_sat(two, wasm_i8x16_splat(0xE0 - 0x80)),
                                   wasm_u8x16_sub_sat(three, wasm_i8x16_splat(0xF0 - 0x80)));
        error = wasm_v128_or(error, wasm_v128_xor(wasm_v128_and(more, wasm_i8x16_splat(-128)), special));
        before = v;
    }
    return !wasm_v128_any_true(error);
}
#else
static int valid(void) {
    int i = 0;
    while (i < N) {
        uint8_t c = text[i++];
        if (c < 0x80)
            continue;
        uint8_t d = text[i++];
        if ((d & 0xC0) != 0x80 || c < 0xC2 || c > 0xF4)
            return 0;
        if (c < 0xE0)
            continue;
        if ((c == 0xE0 && d < 0xA0) || (c == 0xED && d > 0x9F) || (c == 0xF0 && d < 0x90) || (c == 0xF4 && d > 0x8F))
            return 0;
        if ((text[i++] & 0xC0) != 0x80)
            return 0;
        if (c >= 0xF0 && (text[i++] & 0xC0) != 0x80)
            return 0;
    }
    return 1;
}
#endif

EXPORT(run) int32_t run(int32_t rounds) {
    int32_t good = 0;
    int i = 0;
    seed = 19;
    while (i < N - 8) {
        uint32_t n = next_number(), kind = n & 15;
        if (kind < 9) {
            text[i++] = 32 + (n >> 8) % 90;
        } else if (kind < 13) {
            text[i++] = 0xC3;
            text[i++] = 0x80 | (n >> 8 & 63);
        } else if (kind < 15) {
            text[i++] = 0xE4;
            text[i++] = 0x80 | (n >> 8 & 63);
            text[i++] = 0x80 | (n >> 16 & 63);
        } else {
            text[i++] = 0xF0;
            text[i++] = 0x9F;
            text[i++] = 0x80 | (n >> 8 & 63);
            text[i++] = 0x80 | (n >> 16 & 63);
        }
    }
    while (i < N)
        text[i++] = ' ';
    for (int r = 0; r < rounds; r++) {
        uint8_t kept = text[N - 4];
        text[N - 4] = r % 5 ? ' ' : 0xFF;
        good += valid() ? r : 1;
        text[N - 4] = kept;
    }
    return good;
}
