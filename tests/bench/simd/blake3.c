/* The compression of BLAKE3 of four chunks: each in a lane of vectors, or one after the other. */
#include "common.h"
static uint32_t chain[8][4], message[16][4];

#ifdef VECTOR
typedef v128_t word;
#define LANES 1
#define GET(at) wasm_v128_load(at)
#define PUT(at, v) wasm_v128_store(at, v)
#define NUMBER(n) wasm_i32x4_splat(n)
#define ADD wasm_i32x4_add
#define XOR wasm_v128_xor
#define TURN(v, n) wasm_v128_or(wasm_u32x4_shr(v, n), wasm_i32x4_shl(v, 32 - n))
#define TURN16(v) wasm_i8x16_shuffle(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define TURN8(v) wasm_i8x16_shuffle(v, v, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)
#else
typedef uint32_t word;
#define LANES 4
#define GET(at) (*(at))
#define PUT(at, v) (*(at) = (v))
#define NUMBER(n) (n)
#define ADD(a, b) ((a) + (b))
#define XOR(a, b) ((a) ^ (b))
#define TURN(v, n) ((v) >> n | (v) << (32 - n))
#define TURN16(v) TURN(v, 16)
#define TURN8(v) TURN(v, 8)
#endif
#define M(i) GET(&message[i][lane])
#define G(a, b, c, d, x, y) \
    a = ADD(ADD(a, b), M(x)), d = XOR(d, a), d = TURN16(d), c = ADD(c, d), b = XOR(b, c), b = TURN(b, 12), \
    a = ADD(ADD(a, b), M(y)), d = XOR(d, a), d = TURN8(d), c = ADD(c, d), b = XOR(b, c), b = TURN(b, 7);
#define ROUND(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    G(x0, x4, x8, x12, a, b) G(x1, x5, x9, x13, c, d) G(x2, x6, x10, x14, e, f) G(x3, x7, x11, x15, g, h) \
    G(x0, x5, x10, x15, i, j) G(x1, x6, x11, x12, k, l) G(x2, x7, x8, x13, m, n) G(x3, x4, x9, x14, o, p)
#define WORD(i) word x##i = GET(&chain[i][lane]);
#define LAST(i, j) PUT(&chain[i][lane], XOR(x##i, x##j));

static void compress(int lane, uint32_t counter) {
    WORD(0) WORD(1) WORD(2) WORD(3) WORD(4) WORD(5) WORD(6) WORD(7)
    word x8 = NUMBER(0x6A09E667), x9 = NUMBER(0xBB67AE85), x10 = NUMBER(0x3C6EF372), x11 = NUMBER(0xA54FF53A);
    word x12 = NUMBER(counter), x13 = NUMBER(0), x14 = NUMBER(64), x15 = NUMBER(11);
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
    ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1)
    ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6)
    ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4)
    ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7)
    ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)
    LAST(0, 8) LAST(1, 9) LAST(2, 10) LAST(3, 11) LAST(4, 12) LAST(5, 13) LAST(6, 14) LAST(7, 15)
}

EXPORT(run) int32_t run(int32_t rounds) {
    seed = 13;
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 4; k++)
            chain[i][k] = 0x6A09E667 + i;
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 4; k++)
            message[i][k] = next_number();
    for (int r = 0; r < rounds; r++) {
        for (int lane = 0; lane < LANES; lane++)
            compress(lane, r);
        message[r & 15][r & 3] += chain[r & 7][0];
    }
    return digest(chain, sizeof chain);
}
