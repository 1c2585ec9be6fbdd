"""What guests make the host hold in its memory, counted in bytes: in their world, and for the store that called.

Each thing that is held has a count of its own, which is given back once, by whoever takes the thing away.
"""

from __future__ import annotations

import os
from _thread import RLock
from _weakref import ref

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stratavm.wasi.guest import Payer


class ForkLock:
    """A re-entrant lock, to be held for moments only, ``with name.lock:``. A forked child finds it free, whoever held
    it."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Whoever holds the lock is not there any more."""
        self.lock = RLock()


COUNTS: Final = ForkLock()
"""Whoever changes a count has it, for that moment; stores are asked without it."""


class Held:
    """What one thing takes: ``size_bytes`` in all, and in parts by who pays.

    A part's payer is a weak reference, since a world keeps no store alive; None where nobody pays.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._parts: dict[int, tuple[ref[Payer] | None, int]] = {}

    def add(self, payer: Payer | None, size: int) -> None:
        """So many bytes more."""
        whose = None if payer is None else ref(payer)
        before = self._parts.get(id(whose), (whose, 0))[1]  # the part keeps the reference, so the number is its own
        self._parts[id(whose)] = whose, before + size
        self.size_bytes += size

    def take(self, size: int) -> list[tuple[ref[Payer] | None, int]]:
        """So many bytes less, or all there are; returns whose they were."""
        taken = []
        for key, (whose, part) in list(self._parts.items()):
            piece = min(part, size)
            if piece <= 0:
                break
            taken.append((whose, piece))
            size -= piece
            self.size_bytes -= piece
            if piece == part:
                del self._parts[key]
            else:
                self._parts[key] = whose, part - piece
        return taken


class Ledger:
    """The counts of one world; ``taken_bytes`` of ``most_bytes`` are held."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.taken_bytes = most_bytes, 0

    def charge(self, held: Held, payer: Payer | None, size: int, what: str) -> bool:
        """Count so many bytes more, before they are there. False, and nothing counted, where the world or the store has
        not so many left."""
        with COUNTS.lock:
            if self.taken_bytes + size > self.most_bytes:
                return False
            self.taken_bytes += size
        try:
            if payer is not None:
                payer.charge_bytes(size, what)
        except BaseException as error:  # a store may be closed, too
            with COUNTS.lock:
                self.taken_bytes -= size
            if isinstance(error, ResourceLimit):
                return False
            raise
        with COUNTS.lock:
            held.add(payer, size)
        return True

    def shrink(self, held: Held, size: int) -> None:
        """No more than so many bytes are held any more."""
        with COUNTS.lock:
            taken = held.take(held.size_bytes - size)
            self.taken_bytes -= sum(part for _, part in taken)
        for whose, part in taken:
            payer = None if whose is None else whose()
            if payer is not None:
                payer.refund_bytes(part)

    def give_back(self, held: Held) -> None:
        """Nothing of it is held any more."""
        self.shrink(held, 0)
