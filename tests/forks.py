"""Processes that are forked, to do something that is right or wrong."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Final

LONGEST_S: Final = 100
"""So long a child may take where nothing else is said: one that is stuck ends by a signal, which is wrong."""


def forked(act: Callable[[], bool], longest_s: int = LONGEST_S) -> bool:
    """Whether a child that calls ``act`` finds it right: it gives True, in time, and the process ends with no signal.

    The child runs nothing else, and none of what an interpreter does at its end.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a harness has a handler, which raises
            signal.alarm(longest_s)
            code = 0 if act() else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0
