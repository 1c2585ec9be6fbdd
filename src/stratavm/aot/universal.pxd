# A universal hash: words of 15 bytes as two limbs of 60 bits, values modulo 2**127 - 1 in two words of 64 bits.
from libc.stdint cimport uint8_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    /* Blocks of 240 bytes. `key` has two limbs below 2**60 for each word of a block, then the point times 1, 2**43 and
       2**86, each below 2**127 in two words. No sum overflows: limbs with their key are below 2**61, so the products of
       a block take less than 2**125, 2**126 and 2**125; what they amount to is below 2**128 before and below 2**127
       behind each of the two reductions; and so is the value so far times the point. */
    static inline void strata_universal(uint64_t *value, const uint64_t *key, const uint8_t *at, size_t blocks) {
        typedef unsigned __int128 wide;
        const uint64_t low43 = ((uint64_t)1 << 43) - 1, low60 = ((uint64_t)1 << 60) - 1, low63 = ((uint64_t)1 << 63) - 1;
        const wide prime = ((wide)1 << 127) - 1;
        const uint64_t *point = key + 32;
        wide so_far = (wide)value[1] << 64 | value[0], low, middle, high, sum;
        uint64_t a, b, c, d;
        int i;
        for (; blocks; blocks--, at += 240) {
            low = middle = high = 0;
            for (i = 0; i < 8; i++) {
                memcpy(&a, at + 30 * i, 8);
                memcpy(&b, at + 30 * i + 7, 8);
                memcpy(&c, at + 30 * i + 15, 8);
                memcpy(&d, at + 30 * i + 22, 8);
                a = (a & low60) + key[4 * i], b = (b >> 4) + key[4 * i + 1];
                c = (c & low60) + key[4 * i + 2], d = (d >> 4) + key[4 * i + 3];
                low += (wide)a * c;
                middle += (wide)a * d;
                middle += (wide)b * c;
                high += (wide)b * d;
            }
            sum = low + ((middle & (((wide)1 << 67) - 1)) << 60);
            sum = (sum & prime) + (sum >> 127);
            sum += (middle >> 67) + (high >> 7) + ((high & 127) << 120);
            sum = (sum & prime) + (sum >> 127);
            a = (uint64_t)so_far & low43, b = (uint64_t)(so_far >> 43) & low43, c = (uint64_t)(so_far >> 86);
            low = (wide)a * point[0] + (wide)b * point[2] + (wide)c * point[4];
            high = (wide)a * point[1] + (wide)b * point[3] + (wide)c * point[5];
            high += (uint64_t)(low >> 64);
            low = (uint64_t)low + ((wide)((uint64_t)high & low63) << 64) + (high >> 63);
            so_far = sum + (low & prime) + (low >> 127);
        }
        value[0] = (uint64_t)so_far, value[1] = (uint64_t)(so_far >> 64);
    }
    """
    void add_blocks "strata_universal"(uint64_t* value, const uint64_t* key, const uint8_t* at, size_t blocks)
