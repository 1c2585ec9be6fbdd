# cython: linetrace=False
# The pot: fuel that several stores draw from, part by part, each when what it has runs out (ADR-0060). Without Python and
# without locks, since that is seen in the handler of a fault.
from libc.stdint cimport uint64_t
from stratavm.contract._gen_layout cimport ExecContext

cdef extern from * nogil:
    """
    #include <stdint.h>
    typedef struct {
        uint64_t left;
        uint64_t least;   /* the smallest part, but for the last */
    } strata_pot;

    /* At most so many units; how many it had. */
    static inline uint64_t strata_pot_take(strata_pot *pot, uint64_t units) {
        uint64_t left = __atomic_load_n(&pot->left, __ATOMIC_RELAXED), taken;
        do {
            taken = units < left ? units : left;
        } while (taken && !__atomic_compare_exchange_n(
            &pot->left, &left, left - taken, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        return taken;
    }
    static inline void strata_pot_give(strata_pot *pot, uint64_t units) {
        __atomic_fetch_add(&pot->left, units, __ATOMIC_RELAXED);
    }
    static inline uint64_t strata_pot_left(strata_pot *pot) { return __atomic_load_n(&pot->left, __ATOMIC_RELAXED); }
    """
    ctypedef struct Pot "strata_pot":
        uint64_t left
        uint64_t least
    uint64_t pot_take "strata_pot_take"(Pot*, uint64_t)
    void pot_give "strata_pot_give"(Pot*, uint64_t)
    uint64_t pot_left "strata_pot_left"(Pot*)

# What is left becomes less, and so do the parts: who gets none while others have some has missed little.
cdef inline uint64_t part_of(Pot* pot) noexcept nogil:
    cdef uint64_t part = pot_left(pot) >> 5
    return part if part > pot.least else pot.least

# A part more for the store of a context, if it draws from a pot and that is not empty.
cdef inline bint refill(ExecContext* context) noexcept nogil:
    cdef uint64_t part = 0 if context.pot == NULL else pot_take(<Pot*>context.pot, part_of(<Pot*>context.pot))
    context.fuel += part
    return part != 0

# What a store has goes back: its guest waits, or has ended.
cdef inline void put_back(ExecContext* context) noexcept nogil:
    if context.pot != NULL:
        pot_give(<Pot*>context.pot, context.fuel)
        context.fuel = 0
