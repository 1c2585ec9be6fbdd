"""How a server ends: Ctrl-C and SIGTERM are heard from its first line on, and what was made is closed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENT = 2
"""Of so many signals the first one counts: what Ctrl-C sends comes twice where a program in between passes it on."""


class Ending:
    """Whether somebody asked for the end; a context manager. Whoever begins something looks at it between its steps, so
    that nothing is left half made; the third signal ends the process as it stands."""

    def __init__(self) -> None:
        self._heard: list[int] = []
        self._then: Callable[[], None] | None = None

    def __enter__(self) -> Ending:
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return bool(self._heard)

    @property
    def code(self) -> int:
        """The exit code that shells know: 130 after Ctrl-C, 143 after SIGTERM, 0 if nobody asked."""
        return 128 + self._heard[0] if self._heard else 0

    def then(self, call: Callable[[], None]) -> None:
        """Call this when the end is asked for; at once, if it was. May be called again for the next signal."""
        self._then = call
        if self._heard:
            call()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard.append(number)
        if len(self._heard) > PATIENT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif self._then is not None:
            self._then()
