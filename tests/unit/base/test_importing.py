"""What stands for parts of Python's library does what they do."""

import functools
import gc
import inspect
import subprocess
import sys

import pytest

from stratavm.base import importing as library


def shouted(text: str, times: int = 1) -> str:
    """Loud."""
    return text.upper() * times


shouted.mark = "kept"


def test_a_function_that_wraps_another_looks_like_it():
    """As with ``functools.wraps``, and functions in C have no dictionary."""
    ours, theirs = library.wraps(shouted)(lambda *a: 1), functools.wraps(shouted)(lambda *a: 1)
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "mark", "__wrapped__"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert inspect.signature(ours) == inspect.signature(shouted)
    assert library.wraps(len)(lambda x: 0).__wrapped__ is len


def test_results_are_kept_as_functools_keeps_them():
    """Hits, the least recently used that goes, what is asked about the cache, methods too."""
    ours, theirs = (make(maxsize=2)(lambda x, y=0: (x, y)) for make in (library.lru_cache, functools.lru_cache))
    for x in (1, 2, 1, 3, 2, 1):
        assert ours(x) == theirs(x)
    assert ours(5, y=6) == (5, 6) and theirs(5, y=6)
    assert ours.cache_info() == theirs.cache_info() and type(ours.cache_info()) is type(theirs.cache_info())
    ours.cache_clear()
    assert ours.cache_info().currsize == 0
    assert library.cache(shouted)("a") == "A" and library.cache(shouted).__name__ == "shouted"
    with pytest.raises(TypeError, match="unhashable"):
        ours([])


def test_a_generator_is_a_context_manager():
    """The standard library's, when it is called."""

    @library.contextmanager
    def block(said):
        """A block."""
        said.append("in")
        try:
            yield 7
        except ValueError:
            said.append("refused")

    said = []
    with block(said) as value:
        assert value == 7
        raise ValueError
    assert said == ["in", "refused"] and block.__doc__ == "A block."


class Thing:
    """What somebody holds."""


def test_values_go_with_their_last_holder():
    """Not what took its place under the same key."""
    known, first, second = library.WeakValues(), Thing(), Thing()
    known["a"], known["b"] = first, second
    assert known.get("a") is first and len(known) == 2 and sorted(known.keys()) == ["a", "b"]
    known["a"] = second
    del first
    gc.collect()
    assert known.get("a") is second and known.get("c") is None
    del second
    gc.collect()
    assert known.get("a") is known.get("b") is None and len(known) == 0 and known.keys() == []


def test_a_module_is_imported_when_something_of_it_is_asked_for():
    """Not before; what it lacks, it lacks, and what is put in its place is seen."""
    code = (
        "import sys; from stratavm.base.importing import fcntl; print('fcntl' in sys.modules); "
        "import os; print(fcntl.fcntl(0, fcntl.F_GETFD) >= 0, 'fcntl' in sys.modules, hasattr(fcntl, 'nothing')); "
        "sys.modules['fcntl'].F_GETFD = 'other'; print(fcntl.F_GETFD, fcntl.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "False", "other", "fcntl"]


class Owner:
    """Something that goes."""


def test_a_finalizer_is_called_once_when_its_object_goes():
    """As ``weakref.finalize``; also of an object in a circle."""
    said = []
    owner, other = Owner(), Owner()
    library.finalize(owner, said.append, "gone")
    other.self = other
    library.finalize(other, said.append, "circle")
    assert said == []
    del owner
    assert said == ["gone"]
    del other
    gc.collect()
    assert said == ["gone", "circle"]


def test_finalizers_are_called_when_the_process_ends():
    """The newest first, one that fails does not keep the others from it, those that are not for it are left out, and
    what one of them registers comes, too."""
    code = """
from stratavm.base.importing import finalize
class Owner: pass
kept = [Owner() for _ in range(6)]
finalize(kept[0], print, "first")
finalize(kept[1], int, "no number")
finalize(kept[2], print, "left out", at_exit=False)
finalize(kept[3], lambda: finalize(kept[5], print, "late"))
gone = Owner()
finalize(gone, print, "gone")
del gone
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["gone", "late", "first", ""]
    assert "invalid literal" in done.stderr


def test_what_is_suppressed_goes_no_further():
    """As with ``contextlib.suppress``: of these kinds and those below them, and only those."""
    from stratavm.base.quiet import suppress

    with suppress(OSError, ValueError):
        raise FileNotFoundError
    with pytest.raises(KeyError), suppress(OSError):
        raise KeyError
    with suppress(OSError):
        pass
