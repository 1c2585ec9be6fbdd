"""The first and last thing in a process that ``process.start`` started."""

from __future__ import annotations

import importlib
import marshal
import signal
import sys
from contextlib import suppress
from types import FrameType

from stratavm.sandbox import privileges


def main() -> int:
    """Call what the parent wants called; returns the exit code."""
    parent, request = map(int, sys.argv[1:3])
    privileges.die_with(parent)
    _first_to_be_killed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # it was held back while Python started
        with open(request, "rb") as file:
            entry, data = marshal.load(file)
        module, _, function = entry.partition(":")
        return int(getattr(importlib.import_module(module), function)(data))
    except KeyboardInterrupt:  # it came before the entry could say so in its own words
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        return 128 + signal.SIGINT


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C arrives twice, from the terminal and from the parent that passes it on: the first one counts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _first_to_be_killed() -> None:
    """Where memory runs out on this machine, the system ends this process before any other."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
