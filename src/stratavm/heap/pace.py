# strata: hot
"""When garbage is collected: decisions, from numbers to numbers, which know no heap."""

import cython
from cython.cimports.libc.stdint import uint64_t

SMALLEST = cython.declare(uint64_t, 1 << 16)
LARGEST = cython.declare(uint64_t, 4 << 20)


def next_nursery(nursery, took_ns, most_ns):
    """How many bytes may be handed out before new objects are looked at again, after a look that took so long: less if
    it was more than half of what a pause may take, more if it was less than a quarter."""
    if took_ns > most_ns // 2:
        nursery = nursery // 4 * 3
    elif took_ns < most_ns // 4:
        nursery = nursery // 4 * 5
    return max(SMALLEST, min(nursery, LARGEST))


def bytes_between(live, rate, slice_ns, runway):
    """How many bytes may be handed out between two slices, so that what lives is looked at before ``runway`` bytes are:
    ``rate`` of them in a microsecond."""
    slices: uint64_t = live * 1000 // max(rate * slice_ns, 1) + 1
    return max(SMALLEST // 2, runway // slices)


def next_rate(rate, looked_at, took_ns):
    """The rate after a slice that has looked at so many bytes; slices of less than 20 microseconds say nothing."""
    return rate if took_ns < 20_000 else (3 * rate + looked_at * 1000 // took_ns) // 4 + 1
