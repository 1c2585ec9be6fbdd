"""Imports inside functions, which a fork waits for."""

from __future__ import annotations

import os
from _thread import RLock, get_ident

from stratavm.base.forms import Final

importing: Final = RLock()
"""Held around every import inside a function that threads may reach while another one forks: a child that is made in
the middle of an import finds the module half made and its lock held, by a thread that it does not have."""

PATIENCE_S = 10.0
"""How long a fork waits. It may hold locks of others by then that the import waits for (``logging`` takes its own
before a fork, and ``asyncio`` wants it): then neither would ever go on, so the fork does."""

_waited: Final[set[int]] = set()
"""Threads that hold the lock for their fork."""


def _before() -> None:
    if importing.acquire(timeout=PATIENCE_S):
        _waited.add(get_ident())


def _in_parent() -> None:
    if get_ident() in _waited:
        _waited.remove(get_ident())
        importing.release()


def _in_child() -> None:
    if get_ident() not in _waited:
        importing._at_fork_reinit()  # type: ignore[attr-defined]  # whoever holds it is not there any more
    _in_parent()
    _waited.clear()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
