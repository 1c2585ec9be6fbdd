"""Python's own functions that can take a guest's faults away from us. Owns who they are; what is then done is for
``signals`` to say."""

# Whether a handler is still ours costs a system call to find out, more than the calls of a guest that it protects. So
# those who can change it are followed instead: right after them our handlers are put in front again, with theirs
# behind. Who does it in C is seen later: at the next store, tick or start of the ticker.
from __future__ import annotations

import faulthandler
import sys
from _collections_abc import Callable

from stratavm.base.forms import Any, Final
from stratavm.base.importing import wraps

MARK: Final = "__followed_by_stratavm__"


def follow(look: Callable[[], None], forget: Callable[[], None]) -> None:
    """Call ``look`` after what replaces a handler or blocks signals, ``forget`` after faulthandler was switched off.

    Once per process. The functions of the module ``signal`` call these.
    """
    native = sys.modules["_signal"]  # the interpreter itself imports it
    for module, name, then in (
        (native, "signal", look),
        (native, "pthread_sigmask", look),
        (faulthandler, "enable", look),
        (faulthandler, "disable", forget),
    ):
        function = getattr(module, name)
        if not hasattr(function, MARK):
            setattr(module, name, followed(function, then))


def followed(function: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    """The same function, and afterwards ``then``."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        finally:
            then()

    setattr(call, MARK, True)
    return call
