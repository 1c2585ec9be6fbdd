"""Which sessions rest between their turns: all but those that were used last. Owns no session.

One in the middle of a turn is told to rest as well, where others were used since its last one; it knows better.
"""

from __future__ import annotations

from _thread import allocate_lock as Lock
from collections import OrderedDict

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.importing import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratavm.sandbox.python.session import Session

AWAKE: Final = 64
"""Sessions between turns whose interpreters keep their pages: another one takes a fraction of a millisecond to wake."""


class Idle:
    """Sessions that do not rest yet, the one whose last turn ended last at the end."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._waiting: OrderedDict[int, ref[Session]] = OrderedDict()
        self._lock = Lock()
        self._latest: Callable[[], Session | None] = _nobody

    def waits(self, session: Session) -> None:
        """A turn has ended. Where too many wait, the one that has waited longest rests."""
        if self._latest() is session:
            return
        with self._lock:
            self._waiting[id(session)] = self._latest = ref(session)
            self._waiting.move_to_end(id(session))
            longest = [self._waiting.popitem(last=False)[1] for _ in range(len(self._waiting) - self.most)]
        for one in longest:
            other = one()
            if other is not None:
                other.rest()

    def leaves(self, session: Session) -> None:
        """The session has ended."""
        with self._lock:
            self._waiting.pop(id(session), None)
            if self._latest() is session:
                self._latest = _nobody


def _nobody() -> None:
    """No session."""


IDLE: Final = Idle(AWAKE)
