"""Modules of the same bytes share what was loaded, where the engine's cache says so."""

from __future__ import annotations

import gc

import stratavm
from stratavm.engine.cache import ModuleCache, SharedModuleCache
from stratavm.module.parser import parse_wat_to_bytes

COUNTER = parse_wat_to_bytes(
    '(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32)'
    " (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"
)


def test_by_default_nothing_is_shared():
    """Each module has code of its own."""
    engine = stratavm.Engine()
    assert stratavm.Module(COUNTER, engine).code is not stratavm.Module(COUNTER, engine).code


def test_a_shared_cache_shares_code_and_no_state():
    """The second module compiles nothing; instances keep their own globals."""
    engine = stratavm.Engine(services={ModuleCache: SharedModuleCache()})
    first, second = stratavm.Module(COUNTER, engine), stratavm.Module(bytes(bytearray(COUNTER)), engine)
    assert second.code is first.code
    assert first.compile_all().functions == 1
    assert second.compile_all().functions == 0
    with stratavm.Store(engine) as store:
        a, b = (stratavm.Linker(engine).instantiate(store, module) for module in (first, second))
        assert [a.exports.next(), a.exports.next(), b.exports.next()] == [1, 2, 1]


def test_other_bytes_of_the_same_length_are_not_taken_for_the_same():
    """The whole binary is compared."""
    engine = stratavm.Engine(services={ModuleCache: SharedModuleCache()})
    other = COUNTER.replace(b"next", b"fext")
    first, second = stratavm.Module(COUNTER, engine), stratavm.Module(other, engine)
    assert first.code is not second.code
    assert second.exports[0].name == "fext"


def test_the_cache_keeps_nothing_alive():
    """Once the last module is gone, the binary is loaded anew."""
    cache = SharedModuleCache()
    engine = stratavm.Engine(services={ModuleCache: cache})
    module = stratavm.Module(COUNTER, engine)
    assert cache.find(COUNTER) is not None
    del module
    gc.collect()
    assert cache.find(COUNTER) is None
