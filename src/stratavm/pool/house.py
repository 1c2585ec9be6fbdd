"""What the pools of one event loop share: turns on its thread, one at a time, and rests behind those that compute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.pool.steering import Rest

if TYPE_CHECKING:
    from stratavm.pool.desk import Ticket
    from stratavm.pool.seat import Floor

SAVED_NS: Final = 40_000_000
"""As a tenant of the usual policy saves in a pool."""


class House:
    """Turns of all pools of a loop. Where several want one, the pool is next whose guests have used least of late.

    A pool that comes back has used less than the others by so much at most, whatever it could have had meanwhile.

    Attributes:
        holder: whose turn it is.
        cpu_ns: what turns took so far.
    """

    def __init__(self) -> None:
        self.holder: Ticket | None = None
        self.cpu_ns = 0
        self._wanting: list[Floor] = []
        self._least_ns = 0
        self._rest: Rest | None = None
        self._clock: Callable[[], int] = int

    def wants(self, floor: Floor) -> None:
        """Somebody waits for a turn there, or for what comes before one."""
        if floor in self._wanting:
            return
        self._wanting.append(floor)
        floor.used_ns = max(floor.used_ns, self._least_ns - SAVED_NS)
        if self._rest is not None:
            floor.desk.rest()
        elif floor.desk.rests:  # since a rest whose end it did not wait for
            floor.desk.wake()

    def is_free(self, floor: Floor) -> bool:
        """Whether nobody has a turn, and nobody of another pool is to have one."""
        return self.holder is None and not any(other.desk.wants for other in self._wanting if other is not floor)

    def pass_on(self) -> None:
        """Grant the next turn, unless one is under way."""
        if self.holder is not None or not self._wanting:
            return
        self._wanting = [floor for floor in self._wanting if floor.desk.has_waiting]
        for floor in sorted(self._wanting, key=_used):
            if floor.grant():
                self._least_ns = max(self._least_ns, floor.used_ns)
                return

    def charge(self, floor: Floor, cpu_ns: int) -> None:
        """A turn has taken so much processor time."""
        floor.used_ns += cpu_ns
        self.cpu_ns += cpu_ns

    def rest(self, clock: Callable[[], int], turn: float) -> None:
        """A turn of so many seconds is over, ended by a tick: those who compute wait until the loop had its share."""
        was_resting, self._clock = self._rest is not None, clock
        self._rest = Rest(clock() / 1e9, self.cpu_ns / 1e9, turn)
        for floor in self._wanting:
            floor.desk.rest()
        if not was_resting:
            asyncio.get_running_loop().call_soon(self._round)
        self.pass_on()

    def _round(self) -> None:
        """The loop has been round once in a rest."""
        rest = self._rest
        if rest is None:
            return
        rest.round(self._clock() / 1e9, self.cpu_ns / 1e9)
        if rest.is_over:
            self._rest = None
            for floor in self._wanting:
                floor.desk.wake()
            self.pass_on()
        else:
            asyncio.get_running_loop().call_soon(self._round)


def _used(floor: Floor) -> int:
    return floor.used_ns


_HOUSES: Final[WeakKeyDictionary[Any, House]] = WeakKeyDictionary()


def house_of(loop: asyncio.AbstractEventLoop) -> House:
    """The one of a loop."""
    found = _HOUSES.get(loop)
    if found is None:
        found = _HOUSES[loop] = House()
    return found
