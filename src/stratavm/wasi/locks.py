"""Locks that a forked child finds free, whoever held them."""

from __future__ import annotations

import os
from _thread import RLock


class ForkLock:
    """A re-entrant lock, to be held for moments only: ``with name.lock:``."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Whoever holds the lock is not there any more."""
        self.lock = RLock()
