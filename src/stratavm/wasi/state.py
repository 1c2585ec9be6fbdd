# cython: auto_pickle=False
# strata: hot
"""What short ways see of a world and its descriptors: fields that C reads. ``Context`` and ``Descriptor`` give them
their meaning."""

import cython
from cython.cimports.cpython.dict import PyDict_CheckExact
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.stratavm.wasi.forks import n_forks, watch_forks

from stratavm.wasi.errno import Errno, WasiError

# Parent and child share the positions of what is open at a fork: neither knows what the other does with them.
watch_forks()


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

    def move(self, source: object, target: object) -> DescriptorState:
        """Move a descriptor onto another number, in one step for all threads; returns what that number was of."""
        table: object = self.table
        moved: object = table.get(source)
        old: object = table.get(target)
        if moved is None or old is None:
            raise WasiError(Errno.BADF)
        table[target] = moved
        del table[source]
        return old

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
        self.position = UNKNOWN
        self.forks = n_forks

    # A regular file's position is this process's own: guests' files are opened for them alone. It is known as long as
    # one call at a time moves it; a call that is not alone makes it unknown, and so does every general way that moves.

    def known_position(self):
        """The position, or UNKNOWN."""
        if self.users or self.forks != n_forks or self.position < 0:
            return UNKNOWN
        return self.position

    def begin_moving(self):
        """A call is about to move the position, and is not among the users yet; returns it if it is known."""
        known: int64_t = self.known_position()
        self.position = UNKNOWN if self.users else MOVING
        return known

    def end_moving(self, position):
        """It is there now, or UNKNOWN."""
        self.position = position if self.position == MOVING and position >= 0 else UNKNOWN
        return 0
