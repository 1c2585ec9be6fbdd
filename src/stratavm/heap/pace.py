# strata: hot
"""When garbage is collected: decisions, from numbers to numbers. They know no heap, and do nothing."""

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
