"""Keyword arguments that there are not: the error names the one that is near."""

from __future__ import annotations

import inspect

import pytest

import stratavm
from stratavm.base.forms import dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.wasi import Quotas

GUEST = stratavm.load('(module (memory (export "memory") 1) (table (export "table") 1 funcref))').exports
MISTAKES = [
    (stratavm.run, "max_mem", "did you mean 'max_memory'?"),
    (stratavm.run, "time_out", "did you mean 'timeout'?"),
    (stratavm.run, "input", "what the program reads is stdin="),
    (stratavm.run, "capture_output", "always kept"),
    (stratavm.run, "tier", "give Module(path, engine=Engine(…))"),
    (stratavm.run, "cwd", "files= and dirs="),
    (stratavm.load, "import_", "did you mean 'imports'"),
    (stratavm.Store, "fule", "did you mean 'fuel'?"),
    (stratavm.Store, "limit", "did you mean 'limits'?"),
    (stratavm.Store, "zzz", "it takes engine, limits, thread_bound, on_abort, fuel"),
    (stratavm.Wasi, "envs", "did you mean 'env'?"),
    (stratavm.Wasi, "preopen", "did you mean 'preopens'?"),
    (stratavm.Module, "timout", "did you mean 'timeout'?"),
    (stratavm.Linker, "eng", "did you mean 'engine'?"),
    (stratavm.Engine, "max_memory", "did you mean 'max_memory_bytes'?"),
    (stratavm.Engine, "service", "did you mean 'services'"),
    (stratavm.Config, "Tier", "did you mean 'tier'?"),
    (stratavm.StoreLimits, "memory_byte", "did you mean 'memory_bytes'"),
    (stratavm.MemorySlots, "memorys", "did you mean 'memories'"),
    (Quotas, "descriptor", "did you mean 'descriptors'"),
    (stratavm.Memory.new, "maxmum", "did you mean 'maximum'"),
    (stratavm.Table.new, "minimal", "did you mean 'minimum'"),
    (GUEST.memory.grow, "page", "did you mean 'pages'?"),
    (GUEST.table.grow, "delt", "did you mean 'delta'?"),
    (stratavm.Global.new, "mutabel", "did you mean 'mutable'?"),
]


@pytest.mark.parametrize(("call", "name", "words"), MISTAKES, ids=[f"{c.__qualname__}-{n}" for c, n, _ in MISTAKES])
def test_a_wrong_keyword_argument_is_told_what_is_near(call, name, words):
    """Whatever it is an argument of, on every Python."""
    with pytest.raises(TypeError) as caught:
        call(**({"source": b""} if call is stratavm.load else {}), **{name: 1})
    assert words in str(caught.value) and repr(name) in str(caught.value)


def test_a_checked_function_stays_what_it_was():
    """Its signature, its name, and what it does with arguments that fit."""

    @checks_keywords
    def area(width: int, *, height: int = 1) -> int:
        """The product."""
        return width * height

    assert (area(3, height=2), area(width=3)) == (6, 3)
    assert str(inspect.signature(area)) == "(width: 'int', *, height: 'int' = 1) -> 'int'"
    assert area.__doc__ == "The product."
    with pytest.raises(TypeError, match="missing 1 required"):
        area()
    assert str(inspect.signature(stratavm.run)).startswith("(module: ")
    assert list(inspect.signature(stratavm.Wasi).parameters)[:2] == ["args", "env"]
    assert list(inspect.signature(stratavm.Store).parameters) == [
        "engine",
        "limits",
        "thread_bound",
        "on_abort",
        "fuel",
    ]


def test_a_data_class_that_is_made_often_still_refuses():
    """Its constructor is compiled by then, and Python says it in its own words."""

    @dataclass
    class Point:
        x: int
        y: int = 0

    for n in range(40):
        assert Point(n).y == 0
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=2)
