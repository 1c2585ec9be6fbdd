from libc.stdint cimport uint8_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    typedef struct {
        uint64_t r[3], h[3], pad[2];   /* r and h in limbs of 44, 44 and 42 bits */
    } StrataPoly;

    #define STRATA_44 0xFFFFFFFFFFFull
    #define STRATA_42 0x3FFFFFFFFFFull

    static inline void strata_poly_begin(StrataPoly *poly, const uint8_t *key) {
        uint64_t low, high;
        memcpy(&low, key, 8), memcpy(&high, key + 8, 8);
        poly->r[0] = low & 0xFFC0FFFFFFFull;
        poly->r[1] = ((low >> 44) | (high << 20)) & 0xFFFFFC0FFFFull;
        poly->r[2] = (high >> 24) & 0x00FFFFFFC0Full;
        poly->h[0] = poly->h[1] = poly->h[2] = 0;
        memcpy(poly->pad, key + 16, 16);
    }

    /* h = (h + block) * r, carried so far that it may be done again; s is 20 * r. */
    #define STRATA_POLY_ADD(h, at, above) do { \
            uint64_t low_, high_; \
            memcpy(&low_, (at), 8), memcpy(&high_, (at) + 8, 8); \
            (h)[0] += low_ & STRATA_44; \
            (h)[1] += ((low_ >> 44) | (high_ << 20)) & STRATA_44; \
            (h)[2] += ((high_ >> 24) & STRATA_42) | (uint64_t)(above) << 40; \
        } while (0)

    static inline void strata_poly_multiply(uint64_t *h, const uint64_t *r) {
        const uint64_t s1 = r[1] * 20, s2 = r[2] * 20;
        unsigned __int128 d0, d1, d2;
        uint64_t carry;
        d0 = (unsigned __int128)h[0] * r[0] + (unsigned __int128)h[1] * s2 + (unsigned __int128)h[2] * s1;
        d1 = (unsigned __int128)h[0] * r[1] + (unsigned __int128)h[1] * r[0] + (unsigned __int128)h[2] * s2;
        d2 = (unsigned __int128)h[0] * r[2] + (unsigned __int128)h[1] * r[1] + (unsigned __int128)h[2] * r[0];
        d1 += (uint64_t)(d0 >> 44);
        d2 += (uint64_t)(d1 >> 44);
        carry = (uint64_t)(d2 >> 42) * 5 + ((uint64_t)d0 & STRATA_44);
        h[0] = carry & STRATA_44;
        h[1] = ((uint64_t)d1 & STRATA_44) + (carry >> 44);
        h[2] = (uint64_t)d2 & STRATA_42;
    }

    /* Whole blocks of 16 bytes, each with a bit above it. Four sums at once, of every fourth block and by powers of r:
       one alone waits for its multiplications. */
    static inline void strata_poly_blocks(StrataPoly *poly, const uint8_t *at, size_t blocks, uint64_t above) {
        uint64_t r[3], h[3];
        memcpy(r, poly->r, sizeof(r)), memcpy(h, poly->h, sizeof(h));
        if (blocks >= 64) {
            uint64_t r2[3], r3[3], r4[3], b[3] = {0, 0, 0}, c[3] = {0, 0, 0}, d[3] = {0, 0, 0};
            memcpy(r2, r, sizeof(r)), strata_poly_multiply(r2, r);
            memcpy(r3, r2, sizeof(r)), strata_poly_multiply(r3, r);
            memcpy(r4, r3, sizeof(r)), strata_poly_multiply(r4, r);
            for (;;) {
                STRATA_POLY_ADD(h, at, above);
                STRATA_POLY_ADD(b, at + 16, above);
                STRATA_POLY_ADD(c, at + 32, above);
                STRATA_POLY_ADD(d, at + 48, above);
                blocks -= 4, at += 64;
                if (blocks < 4)
                    break;
                strata_poly_multiply(h, r4), strata_poly_multiply(b, r4);
                strata_poly_multiply(c, r4), strata_poly_multiply(d, r4);
            }
            strata_poly_multiply(h, r4), strata_poly_multiply(b, r3);
            strata_poly_multiply(c, r2), strata_poly_multiply(d, r);
            h[0] += b[0] + c[0] + d[0], h[1] += b[1] + c[1] + d[1], h[2] += b[2] + c[2] + d[2];
        }
        for (; blocks; blocks--, at += 16) {
            STRATA_POLY_ADD(h, at, above);
            strata_poly_multiply(h, r);
        }
        memcpy(poly->h, h, sizeof(h));
    }

    static inline void strata_poly_end(StrataPoly *poly, uint8_t *tag) {
        uint64_t h0 = poly->h[0], h1 = poly->h[1], h2 = poly->h[2], g0, g1, g2, carry, mask, low, high;
        int i;
        for (i = 0; i < 2; i++) {
            carry = h1 >> 44, h1 &= STRATA_44;
            h2 += carry, carry = h2 >> 42, h2 &= STRATA_42;
            h0 += carry * 5, carry = h0 >> 44, h0 &= STRATA_44;
            h1 += carry;
        }
        carry = h1 >> 44, h1 &= STRATA_44, h2 += carry;
        /* less the prime, if it is not less than that */
        g0 = h0 + 5, carry = g0 >> 44, g0 &= STRATA_44;
        g1 = h1 + carry, carry = g1 >> 44, g1 &= STRATA_44;
        g2 = h2 + carry - (1ull << 42);
        mask = (g2 >> 63) - 1;
        h0 = (h0 & ~mask) | (g0 & mask), h1 = (h1 & ~mask) | (g1 & mask), h2 = (h2 & ~mask) | (g2 & mask);
        low = h0 | h1 << 44, high = h1 >> 20 | h2 << 24;
        low += poly->pad[0];
        high += poly->pad[1] + (low < poly->pad[0]);
        memcpy(tag, &low, 8), memcpy(tag + 8, &high, 8);
    }

    /* A message that comes piece by piece. */
    typedef struct {
        StrataPoly poly;
        uint8_t rest[17];
        size_t n_rest;
    } StrataPolyStream;

    static inline void strata_poly_open(StrataPolyStream *stream, const uint8_t *key) {
        strata_poly_begin(&stream->poly, key);
        stream->n_rest = 0;
    }

    static inline void strata_poly_more(StrataPolyStream *stream, const uint8_t *at, size_t size) {
        if (stream->n_rest) {   /* of the piece before */
            size_t some = 16 - stream->n_rest < size ? 16 - stream->n_rest : size;
            memcpy(stream->rest + stream->n_rest, at, some);
            stream->n_rest += some, at += some, size -= some;
        }
        if (stream->n_rest == 16) {
            strata_poly_blocks(&stream->poly, stream->rest, 1, 1);
            stream->n_rest = 0;
        }
        if (stream->n_rest == 0) {
            strata_poly_blocks(&stream->poly, at, size / 16, 1);
            stream->n_rest = size % 16;
            memcpy(stream->rest, at + (size - stream->n_rest), stream->n_rest);
        }
    }

    static inline void strata_poly_close(StrataPolyStream *stream, uint8_t *tag) {
        if (stream->n_rest) {   /* the bit above, in a block that is filled up with zeros */
            stream->rest[stream->n_rest] = 1;
            memset(stream->rest + stream->n_rest + 1, 0, 16 - stream->n_rest);
            strata_poly_blocks(&stream->poly, stream->rest, 1, 0);
        }
        strata_poly_end(&stream->poly, tag);
    }
    """
    ctypedef struct PolyStream "StrataPolyStream":
        pass
    void poly_open "strata_poly_open"(PolyStream* stream, const uint8_t* key)
    void poly_more "strata_poly_more"(PolyStream* stream, const uint8_t* at, size_t size)
    void poly_close "strata_poly_close"(PolyStream* stream, uint8_t* tag)
