# cython: auto_pickle=False
# strata: hot
"""What short ways see of a world and its descriptors: fields that C reads. ``Context`` and ``Descriptor`` give them
their meaning."""

import cython
from cython.cimports.cpython.dict import PyDict_CheckExact
from cython.cimports.libc.stdint import uint64_t

from stratavm.wasi.errno import Errno, WasiError


@cython.cfunc
def look_up(table: object, fd: object) -> object:
    """What a table has for a number, or None."""
    if PyDict_CheckExact(table):
        return cython.cast(dict, table).get(fd)
    return table.get(fd)


@cython.cclass
class WorldState:
    """The part of a ``Context`` that short ways look at."""

    def __cinit__(self):
        self.closed = True

    def get(self, guest: object, fd: object, rights: uint64_t = 0) -> DescriptorState:
        """The descriptor of a number, kept open until the guest's call ends, with the rights that the call needs."""
        item: object = look_up(self.table, fd)
        if item is None:
            raise WasiError(Errno.BADF)
        found: DescriptorState = item
        found.users.append(guest)  # first this, then another look: who takes it away looks at its users afterwards
        guest.pins.append(found)
        if look_up(self.table, fd) is not item:
            raise WasiError(Errno.BADF)
        if rights:
            item.require(rights)
        return found

    def release(self, guest: object) -> None:
        """The guest's call has ended: what was closed meanwhile is closed now."""
        pins: list = guest.pins
        while pins:
            found: DescriptorState = pins.pop()
            if found.gone:
                self.drop(found, guest)
            else:
                found.users.remove(guest)


@cython.cclass
class DescriptorState:
    """The part of a ``Descriptor`` that short ways look at. What none of them may touch leaves the last four alone."""

    def __cinit__(self):
        self.fd = -1
