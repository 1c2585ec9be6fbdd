"""Standard input that ends when it shall: at the client's end, at Ctrl-C, or behind a message that is too long.

The SDK reads it in a thread, which nothing but the end of its input can wake. A message with half of a surrogate pair
in it would get no answer from it: it reads none.
"""

from __future__ import annotations

import os
import re
import select
import signal
import threading

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

MOST_LINE: Final = 64 << 20
"""The longest message."""
PIECE: Final = 1 << 16
HALF: Final = rb"\uffff"
"""What the half of a surrogate pair arrives as: no text has it, says Unicode, and ``telling.unfit`` refuses it."""
ESCAPES: Final = re.compile(
    rb"""
    (?P<held> \\ (u ([dD] (
        [0-9a-fA-F]{0,2} | [89abAB][0-9a-fA-F]{2} (\\ (u ([dD] ([c-fC-F][0-9a-fA-F]?)?)?)?)?
    )?)?)? \Z)
    | (?P<pair> \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2})
    | (?P<half> \\u[dD][89a-fA-F][0-9a-fA-F]{2})
    | \\.""",
    re.VERBOSE | re.DOTALL,
)
"""What begins with a backslash in JSON, one after another; ``held``: what comes next says what it is."""


class WholePairs:
    """JSON, piece by piece, without halves of surrogate pairs.

    Attributes: ``held`` is the beginning of an escape, which comes with the next piece.
    """

    def __init__(self) -> None:
        self.held = b""

    def of(self, piece: bytes) -> bytes:
        """The next piece."""
        data, self.held = self.held + piece, b""
        return ESCAPES.sub(self._whole, data) if b"\\" in data else data

    def _whole(self, found: re.Match[bytes]) -> bytes:
        if found.lastgroup == "held":
            self.held = found[0]
            return b""
        return HALF if found.lastgroup == "half" else found[0]


class EndingInput:
    """While it is entered, what comes at descriptor 0 goes through a pipe; Ctrl-C ends it, and is not raised. It ends,
    too, when nobody reads at the other end of descriptor 1 any more.

    Attributes:
        interrupted: whether Ctrl-C did.
        too_long: whether a message did.
    """

    def __init__(self, most: int = MOST_LINE) -> None:
        self.interrupted = self.too_long = False
        self._most, self._line = most, 0

    def __enter__(self) -> Self:
        self._source, self._answers = os.dup(0), os.dup(1)
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
        for descriptor in (self._source, self._answers, self._woken, self._wake):
            os.close(descriptor)

    def _interrupt(self, number: int, frame: Any) -> None:
        self.interrupted = True
        os.write(self._wake, b"\0")

    def _pump(self) -> None:
        held, whole, at_end = b"", WholePairs(), False
        try:
            while not at_end or held:
                if not self._waited(held):
                    return
                if held:
                    held = held[os.write(self._into, held) :]
                    continue
                piece = os.read(self._source, PIECE)
                if piece and self._is_too_long(piece):
                    return
                held, at_end = whole.of(piece) if piece else whole.held, not piece
        except BrokenPipeError:  # nobody reads any more
            return
        finally:
            os.close(self._into)

    def _waited(self, held: bytes) -> bool:
        """Wait until there is more to read, or room for what is held; False where it ends instead."""
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        waiting.register(self._answers, 0)
        waiting.register(*((self._into, select.POLLOUT) if held else (self._source, select.POLLIN)))
        return not {self._woken, self._answers} & {descriptor for descriptor, _ in waiting.poll()}

    def _is_too_long(self, piece: bytes) -> bool:
        end = piece.rfind(b"\n")
        self._line = self._line + len(piece) if end < 0 else len(piece) - end - 1
        self.too_long = self._line > self._most
        return self.too_long
