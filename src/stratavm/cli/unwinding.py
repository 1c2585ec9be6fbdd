"""Signals that ask a process to end, where something is to be said at the end: they end it by unwinding."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from contextlib import suppress
from types import FrameType, TracebackType

from stratavm.base.forms import Any, Final
from stratavm.cli import output

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
AGAIN_S: Final = 0.01
"""How long after Python dropped the exception of a signal that comes again."""


class Asked(BaseException):
    """A signal asks this process to end."""


class Unwinding:
    """While it is open the first of these signals is an exception, and the process ends by that signal when it closes.
    A second one ends it at once. What somebody else decided about a signal stays."""

    def __init__(self) -> None:
        self._number = 0
        self._taken: list[int] = []
        self._hook: Any = None
        self._coming = 0

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._taken = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
        self._listen()
        self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hook is None:
            return
        self._leave()
        sys.unraisablehook = self._hook
        if self._number:
            self.end()

    def end(self) -> None:
        """End the process by the signal that came: also for whoever gets ``Asked`` from where nothing was open yet, or
        any more."""
        with suppress(OSError):  # the terminal may be gone, too
            output.flush()
        os.kill(os.getpid(), self._number)

    def _listen(self) -> None:
        for number in self._taken:
            signal.signal(number, self._ask)

    def _leave(self) -> None:
        for number in self._taken:
            signal.signal(number, signal.SIG_DFL)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self._coming += 1
        while frame is not None:
            if frame.f_code is Unwinding._dropped.__code__:  # where an exception is lost, too
                self._come_again()
                return
            frame = frame.f_back
        self._leave()
        raise Asked

    def _dropped(self, error: sys.UnraisableHookArgs) -> None:
        """Python tells of an exception and goes on, as of one in the callback of a weak reference."""
        if error.exc_type is not Asked:
            self._hook(error)
            return
        self._listen()
        self._come_again()

    def _come_again(self) -> None:
        """Send the signal in a moment. Nobody waits for the thread to begin: the signal might come in that wait."""
        self._coming += 1
        start_new_thread(self._send, (self._coming,))

    def _send(self, coming: int) -> None:
        """Unless one has come meanwhile, or another thread sends it: a second one would end the process at once."""
        time.sleep(AGAIN_S)
        if self._coming == coming:
            os.kill(os.getpid(), self._number)
