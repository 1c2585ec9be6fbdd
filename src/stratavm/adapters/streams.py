"""Standard input that ends when it shall: at the client's end, at Ctrl-C, or behind a message that is too long.

The SDK reads it in a thread, which nothing but the end of its input can wake.
"""

from __future__ import annotations

import os
import select
import signal
import threading

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

MOST_LINE: Final = 64 << 20
"""The longest message."""
PIECE: Final = 1 << 16


class EndingInput:
    """While it is entered, what comes at descriptor 0 goes through a pipe; Ctrl-C ends it, and is not raised.

    Attributes:
        interrupted: whether Ctrl-C did.
        too_long: whether a message did.
    """

    def __init__(self, most: int = MOST_LINE) -> None:
        self.interrupted = self.too_long = False
        self._most, self._line = most, 0

    def __enter__(self) -> Self:
        self._source = os.dup(0)
        self._woken, self._wake = os.pipe()
        reading, self._into = os.pipe()
        os.dup2(reading, 0, inheritable=False)
        os.close(reading)
        os.set_blocking(self._into, False)
        self._handler = signal.signal(signal.SIGINT, self._interrupt)
        self._thread = threading.Thread(target=self._pump, name="strata-mcp-input", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.write(self._wake, b"\0")
        self._thread.join()
        signal.signal(signal.SIGINT, self._handler)
        os.dup2(self._source, 0)
        for descriptor in (self._source, self._woken, self._wake):
            os.close(descriptor)

    def _interrupt(self, number: int, frame: Any) -> None:
        self.interrupted = True
        os.write(self._wake, b"\0")

    def _pump(self) -> None:
        held = b""
        try:
            while True:
                sources = [self._woken] if held else [self._woken, self._source]
                ready, _, _ = select.select(sources, [self._into] if held else [], [])
                if self._woken in ready:
                    return
                if held:
                    held = held[os.write(self._into, held) :]
                    continue
                held = os.read(self._source, PIECE)
                if not held or self._is_too_long(held):
                    return
        except BrokenPipeError:  # nobody reads any more
            return
        finally:
            os.close(self._into)

    def _is_too_long(self, piece: bytes) -> bool:
        end = piece.rfind(b"\n")
        self._line = self._line + len(piece) if end < 0 else len(piece) - end - 1
        self.too_long = self._line > self._most
        return self.too_long
