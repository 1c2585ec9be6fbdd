"""Claims about an edit of a binary whose code is kept: what it did not change keeps its code, and nothing else does."""

import gc

import pytest

from stratavm import Engine, Linker, Module, Store
from stratavm.engine.carried import carry, parts_of
from stratavm.services.diskcache import DiskCache, default_folders

pytestmark = pytest.mark.usefixtures("home")

BODY = "(local.set 0 (i32.add (local.get 0) (i32.const 3)))" * 60
"""Too long to be inlined."""


def text(number=3, short=1, more=""):
    """A module of which code is kept: ``f2`` calls ``short``, which is inlined, and ``f3`` calls ``f0``."""
    changed = BODY.replace("(i32.const 3)", f"(i32.const {number})", 1)
    return f"""(module {more} (memory 2) (data "{"x" * (1 << 16)}")
      (func $f0 (export "f0") (param i32) (result i32) {changed} (local.get 0))
      (func $f1 (export "f1") (param i32) (result i32) {BODY} (local.get 0))
      (func $short (result i32) (i32.const {short}))
      (func $f2 (export "f2") (param i32) (result i32) {BODY} (i32.add (local.get 0) (call $short)))
      (func $f3 (export "f3") (param i32) (result i32) {BODY} (call $f0 (local.get 0))))"""


def answers(module):
    """What its functions say."""
    exports = Linker(module.engine).instantiate(Store(module.engine), module).exports
    return [exports[f"f{n}"](n) for n in range(4)]


def ran(source, **options):
    """What has to be known of a module whose code an engine has kept, and what it said."""
    module = Module(source, Engine(**options))
    found = parts_of(module), answers(module)
    del module
    gc.collect()
    return found


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_what_did_not_change_keeps_its_code(tier):
    """One function is compiled again, and says something else; what is kept then has all."""
    before, said = ran(text(), tier=tier)
    engine = Engine(tier=tier)
    module = Module(text(number=4), engine)
    found = carry(module, before)
    had = 4 if tier == "jit1" else 5  # the short one is inlined everywhere
    assert (found.functions, found.changed, found.why) == (had - 1, 1, "")
    assert module.code.compiled == had - 1
    assert answers(module) == [said[0] + 1, said[1], said[2], said[3] + 1]
    assert module.code.compiled == had
    del module
    gc.collect()
    assert Module(text(number=4), Engine(tier=tier)).code.compiled == had


def test_it_is_kept_as_soon_as_the_module_goes():
    """Who starts the next process has let go of it."""
    before, _ = ran(text())
    module = Module(text(number=4), Engine())
    carry(module, before)
    del module
    assert Module(text(number=4), Engine()).code.compiled == 4


def test_who_may_have_inlined_what_changed_is_compiled_again():
    """Its own bytes are the same."""
    before, said = ran(text(), tier="jit1")
    module = Module(text(short=100), Engine(tier="jit1"))
    assert carry(module, before).changed == 2
    assert answers(module) == [said[0], said[1], said[2] + 99, said[3]]


def test_where_an_index_may_mean_something_else_nothing_is_taken():
    """A global more."""
    before, said = ran(text())
    module = Module(text(more="(global i32 (i32.const 1))"), Engine())
    found = carry(module, before)
    assert found.functions == 0 and "an index may mean something else now" in found.why and not module.code.compiled
    assert answers(module) == said


@pytest.mark.parametrize("options", [{"tier": "jit1"}, {"fuel": True}, {"memory_plan": "bounded"}], ids=str)
def test_code_of_other_options_is_not_taken(options):
    """It is another entry."""
    before, _ = ran(text())
    module = Module(text(number=4), Engine(**options))
    assert carry(module, before).why == "the cache has no code of it" and not module.code.compiled


def test_a_damaged_entry_is_none(monkeypatch):
    """It is removed, as ever."""
    before, _ = ran(text())
    cache = DiskCache(*default_folders())
    for entry in cache.entries():
        if cache.label(bytes.fromhex(entry.key)).startswith("code of"):
            with open(f"{cache.folder}/{entry.key}.entry", "r+b") as file:
                file.seek(300)
                file.write(b"damage")
    module = Module(text(number=4), Engine())
    assert carry(module, before).why == "the cache has no code of it"
