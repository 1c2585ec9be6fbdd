"""When a file has changed and is worth reading again: for ``--watch`` and ``--hot``."""

from __future__ import annotations

import os
import stat

from stratavm.base.forms import Final, TypeAlias

LOOK_S: Final = 0.05
"""Between two looks at the file."""
SETTLE_S: Final = 0.1
"""So long a file must have stayed the same: an editor may still be writing."""
GONE_S: Final = 1.0
"""After so long a file that was there counts as gone: editors take it away for a moment."""

State: TypeAlias = tuple[int, int, int, int, int]
WRITTEN: Final = 3
"""Where a state has the time of the last change of the content."""


def state_of(path: str) -> State | None:
    """What tells one content of an ordinary file from another, as far as the file system says: device, inode, bytes,
    and times of the last change of its content and of anything. None where there is none that can be seen."""
    try:
        now = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(now.st_mode):
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


class Looker:
    """Says when a file has changed and stayed so, of what it is shown; does not look or wait itself.

    Args:
        known: the state of the file that is running.

    Attributes:
        found: the state that it was shown last.
    """

    def __init__(self, known: State | None) -> None:
        self.known = known
        self.found = known
        self._since = 0.0
        self._told = False

    def look(self, found: State | None, now_s: float) -> bool:
        """Whether a file in this state is to be read: once for each state that stays."""
        if found != self.found:
            self.found, self._since, self._told = found, now_s, False
        if found is None or found == self.known or self._told or now_s - self._since < SETTLE_S:
            return False
        self._told = True
        return True

    def is_gone(self, now_s: float) -> bool:
        """Whether there is no file any more: true once."""
        gone = self.found is None and not self._told and now_s - self._since >= GONE_S
        self._told |= gone
        return gone
