/* ChaCha20, four blocks: each in a lane of sixteen vectors, or one after the other. */
#include "common.h"
static uint32_t state[16][4], out[16][4];

#ifdef VECTOR
typedef v128_t word;
#define LANES 1
#define GET(at) wasm_v128_load(at)
#define PUT(at, v) wasm_v128_store(at, v)
#define ADD wasm_i32x4_add
#define XOR wasm_v128_xor
#define TURN(v, n) wasm_v128_or(wasm_i32x4_shl(v, n), wasm_u32x4_shr(v, 32 - n))
#define TURN16(v) wasm_i8x16_shuffle(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define TURN8(v) wasm_i8x16_shuffle(v, v, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14)
#else
typedef uint32_t word;
#define LANES 4
#define GET(at) (*(at))
#define PUT(at, v) (*(at) = (v))
#define ADD(a, b) ((a) + (b))
#define XOR(a, b) ((a) ^ (b))
#define TURN(v, n) ((v) << n | (v) >> (32 - n))
#define TURN16(v) TURN(v, 16)
#define TURN8(v) TURN(v, 8)
#endif
#define QUARTER(a, b, c, d) \
    a = ADD(a, b), d = XOR(d, a), d = TURN16(d), c = ADD(c, d), b = XOR(b, c), b = TURN(b, 12), \
    a = ADD(a, b), d = XOR(d, a), d = TURN8(d), c = ADD(c, d), b = XOR(b, c), b = TURN(b, 7);
#define WORD(i) word x##i = GET(&state[i][lane]);
#define LAST(i) PUT(&out[i][lane], ADD(x##i, GET(&state[i][lane])));

static void block(int lane) {
    WORD(0) WORD(1) WORD(2) WORD(3) WORD(4) WORD(5) WORD(6) WORD(7)
    WORD(8) WORD(9) WORD(10) WORD(11) WORD(12) WORD(13) WORD(14) WORD(15)
    for (int i = 0; i < 10; i++) {
        QUARTER(x0, x4, x8, x12) QUARTER(x1, x5, x9, x13) QUARTER(x2, x6, x10, x14) QUARTER(x3, x7, x11, x15)
        QUARTER(x0, x5, x10, x15) QUARTER(x1, x6, x11, x12) QUARTER(x2, x7, x8, x13) QUARTER(x3, x4, x9, x14)
    }
    LAST(0) LAST(1) LAST(2) LAST(3) LAST(4) LAST(5) LAST(6) LAST(7)
    LAST(8) LAST(9) LAST(10) LAST(11) LAST(12) LAST(13) LAST(14) LAST(15)
}

EXPORT(run) int32_t run(int32_t rounds) {
    uint32_t sum = 0;
    seed = 11;
    for (int i = 0; i < 16; i++)
        state[i][0] = state[i][1] = state[i][2] = state[i][3] = next_number();
    for (int r = 0; r < rounds; r++) {
        for (int k = 0; k < 4; k++)
            state[12][k] = 4 * r + k;
        for (int lane = 0; lane < LANES; lane++)
            block(lane);
        sum ^= out[r & 15][r & 3] + r;
    }
    return sum ^ digest(out, sizeof out);
}
