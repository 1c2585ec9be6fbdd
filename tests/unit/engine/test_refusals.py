"""Messages about values that are wrong show the beginning of them: a module may stand where something else belongs."""

from __future__ import annotations

import asyncio

import pytest

import stratavm

LARGE = b"\0asm\1\0\0\0" + bytes(100_000)
HOST = '(module (import "e" "f" (func $f{results})) (func (export "g"){results} call $f))'


def host_result(results: str) -> None:
    """A host function returns it to a guest that wants these."""
    exports = stratavm.load(HOST.format(results=results), {"e": {"f": lambda: LARGE}}).exports
    exports.g()


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: stratavm.Module("(module)", LARGE), "engine must be an Engine, got b'"),
        (lambda: stratavm.Store(LARGE), "engine must be an Engine, got b'"),
        (lambda: stratavm.Linker(LARGE), "engine must be an Engine, got b'"),
        (lambda: stratavm.Linker().define_instance("m", LARGE), "takes an Instance, got b'"),
        (lambda: stratavm.Engine(LARGE), "takes a Config or options by name, got b'"),
        (lambda: stratavm.Store(limits=LARGE), "limits must be StoreLimits, got b'"),
        (lambda: stratavm.load("(module)", store=LARGE), "store must be a Store, got b'"),
        (lambda: stratavm.run("(module)", env=LARGE), "env must be a mapping"),
        (lambda: stratavm.run("(module)", dirs=LARGE), "dirs must be a mapping"),
        (lambda: host_result(""), "returned b'.*, expected None"),
        (lambda: host_result(" (result i32)"), "returned b'.*: expected i32, got bytes"),
        (lambda: host_result(" (result i32 i32)"), "must return 2 values, returned b'"),
    ],
)
def test_a_large_value_is_shown_in_part(refused, words):
    """Whatever takes it."""
    with pytest.raises(TypeError, match=words) as error:
        refused()
    assert len(str(error.value)) < 300


def test_a_module_and_its_engine_that_are_exchanged_are_told_so():
    """As other packages order them."""
    with pytest.raises(TypeError, match=r"got b'.*; did you mean Module\(source, engine\)\?$"):
        stratavm.Module(stratavm.Engine(), LARGE)
    with pytest.raises(TypeError, match=r"got b'.*; did you mean Module\(source, engine\)\?$"):
        asyncio.run(stratavm.Module.load_async(stratavm.Engine(), LARGE))
