"""What is imported late, or not at all: inside functions, which a fork waits for, and of Python's library.

A plain run must start quickly. ``functools``, ``contextlib``, ``weakref`` and ``threading`` with what they import take
a tenth of a start; modules with files of their own in C are searched, opened and bound. What is seldom used is a name
here, whose module is imported when something of it is asked for. What every run uses is here without the rest of its
module. Type checkers read the originals. The classes of ``collections.abc`` are imported from ``_collections_abc``,
which Python has loaded anyway.
"""

from __future__ import annotations

import itertools
import os
import sys
from _collections_abc import Callable
from _thread import RLock, get_ident

importing = RLock()
"""Held around every import inside a function that threads may reach while another one forks: a child that is made in
the middle of an import finds the module half made and its lock held, by a thread that it does not have."""
begin_import, end_import = importing.acquire, importing.release
"""The same for what is compiled, as ``begin_import()``, ``try``, ``finally: end_import()``. There ``with`` crashes
where there is no memory for a traceback, and keeps the lock where there is none for a tuple (Cython 3.3.1). To bind the
two takes memory as well, and so they are bound here."""


def exported(
    package: str, modules: dict[str, str], namespace: dict[str, object]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose public names are loaded at first use.

    Args:
        package: its name.
        modules: the module of each public name, from the package on.
        namespace: of the package; a name that was loaded stands there afterwards.
    """

    def load(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        with importing:
            value: object = getattr(__import__(f"{package}.{modules[name]}", fromlist=[name]), name)
        namespace[name] = value
        return value

    def listed() -> list[str]:
        return sorted({*modules, *(name for name in namespace if name.startswith("__"))})

    return load, listed


TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    import asyncio as asyncio
    import bisect as bisect
    import contextlib as contextlib
    import fcntl as fcntl
    import inspect as inspect
    import math as math
    import operator as operator
    import resource as resource
    import select as select
    import struct as struct
    import threading as threading
    import typing as typing
    import warnings as warnings
    import weakref as weakref
    from contextlib import contextmanager as contextmanager
    from functools import cache as cache
    from functools import lru_cache as lru_cache
    from functools import partial as partial
    from functools import wraps as wraps
    from weakref import ref as ref

    WeakValues = weakref.WeakValueDictionary
else:
    import _operator as operator  # noqa: F401
    import _struct as struct  # noqa: F401
    from _functools import _lru_cache_wrapper, partial  # noqa: F401
    from _weakref import ref

    class Later:
        """A module that is imported when something of it is asked for."""

        __slots__ = ("__name__", "module")

        def __init__(self, name):
            self.__name__ = name
            self.module = None

        def __getattr__(self, name):
            if self.module is None:
                with importing:
                    self.module = __import__(self.__name__)
            return getattr(self.module, name)

    bisect, contextlib, fcntl, math, resource, select, threading, warnings, weakref = map(
        Later, ("bisect", "contextlib", "fcntl", "math", "resource", "select", "threading", "warnings", "weakref")
    )
    asyncio, inspect, typing = map(Later, ("asyncio", "inspect", "typing"))

    def wraps(wrapped):
        """``functools.wraps``."""

        def decorate(wrapper):
            for name in ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__"):
                if hasattr(wrapped, name):
                    setattr(wrapper, name, getattr(wrapped, name))
            wrapper.__dict__.update(getattr(wrapped, "__dict__", ()))
            wrapper.__wrapped__ = wrapped
            return wrapper

        return decorate

    def lru_cache(maxsize):
        """``functools.lru_cache``, whose size must be named."""

        def info(*values):
            from functools import _CacheInfo

            return _CacheInfo(*values)

        def decorate(function):
            made = _lru_cache_wrapper(function, maxsize, False, info)
            return wraps(function)(made)

        return decorate

    cache = lru_cache(None)

    def contextmanager(function):
        """``contextlib.contextmanager``, for what few runs call."""

        @wraps(function)
        def made(*values, **named):
            return contextlib.contextmanager(function)(*values, **named)

        return made

    class WeakValues:
        """Values by their keys, as long as somebody else has them: of ``weakref.WeakValueDictionary`` what is needed.

        Each step is one that no other thread sees half done.
        """

        __slots__ = ("refs",)

        def __init__(self):
            self.refs = {}

        def __setitem__(self, key, value):
            refs = self.refs

            def gone(own):
                if refs.get(key) is own:
                    refs.pop(key, None)

            refs[key] = ref(value, gone)

        def get(self, key):
            """The value of a key, None where it has gone."""
            found = self.refs.get(key)
            return None if found is None else found()

        def keys(self):
            """Of values that are there."""
            return list(self.refs)

        def __len__(self):
            return len(self.refs)


_pending: dict[int, tuple[object, Callable[[], None]]] = {}
"""What ``finalize`` has still to call when the process ends, the newest last; with what keeps it."""
_last_number = itertools.count(1)


def finalize(owner: object, function: Callable[..., object], *given: object, at_exit: bool = True) -> None:
    """Have a function called when ``owner`` has gone, or, ``at_exit``, when the process ends, whichever comes first;
    once. As ``weakref.finalize``, whose module takes a millisecond to import.

    Args:
        given: what it is called with; it must not lead to ``owner``.
    """
    number = next(_last_number)

    def call(gone: object = None) -> None:
        if _pending.pop(number, None) is not None:
            function(*given)

    if at_exit and not _at_exit:
        import atexit

        _at_exit.append(atexit.register(_finalize_all))
    _pending[number] = ref(owner, call), call if at_exit else _nothing


def _nothing() -> None:
    """At exit: the system takes back what there is."""


def _finalize_all() -> None:
    """At exit."""
    while _pending:
        number, (_, call) = next(reversed(_pending.items()))
        try:
            call()
        except Exception:
            sys.excepthook(*sys.exc_info())
        _pending.pop(number, None)


_at_exit: list[object] = []

PATIENCE_S = 10.0
"""How long a fork waits. It may hold locks of others by then that the import waits for (``logging`` takes its own
before a fork, and ``asyncio`` wants it): then neither would ever go on, so the fork does."""

_waited: set[int] = set()
"""Threads that hold the lock for their fork."""


def _before() -> None:
    if importing.acquire(timeout=PATIENCE_S):
        _waited.add(get_ident())


def _in_parent() -> None:
    if get_ident() in _waited:
        _waited.remove(get_ident())
        importing.release()


def main_thread() -> int:
    """The thread that handles signals. Where nobody had asked ``threading`` yet when this module was imported, it would
    have said that it is the one that asks."""
    return _main[0]


def _in_child() -> None:
    _main[0] = get_ident()
    if get_ident() not in _waited:
        importing._at_fork_reinit()  # type: ignore[attr-defined]  # whoever holds it is not there any more
    _in_parent()
    _waited.clear()


_threads = sys.modules.get("threading")
_main: list[int] = [get_ident() if _threads is None else _threads.main_thread().ident]
os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
