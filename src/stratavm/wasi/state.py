# strata: hot
"""What short ways see of a world and its descriptors: fields that C reads. ``Context`` and ``Descriptor`` give them
their meaning."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.cclass
class WorldState:
    """The part of a ``Context`` that short ways look at."""

    def __cinit__(self):
        self.closed = True


@cython.cclass
class DescriptorState:
    """The part of a ``Descriptor`` that short ways look at. What none of them may touch leaves the last four alone."""

    def __cinit__(self):
        self.fd = -1
