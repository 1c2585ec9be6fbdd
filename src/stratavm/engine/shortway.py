# cython: auto_pickle=False
# strata: hot
"""Short ways: the usual cases of a ``HostSpec``'s function in C, on the caller's memory and raw cells."""

import cython


@cython.cclass
class ShortWay:
    """The function of a ``HostSpec`` that has a short way besides ``general``, which does every case."""

    def __init__(self, general: object):
        self.general = general

    def go(self, memory, cells):
        """1: done, the result is in the first cell. 0: not a usual case, and nothing has happened. 2: the guest, which
        is on a fiber, waits for ``request``, which gives the result. The memory is one of the store that the call has
        entered: it does not close, move or shrink meanwhile."""
        return 0

    def __call__(self, *arguments: object) -> object:
        return self.general(*arguments)
