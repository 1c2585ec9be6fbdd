"""Claims about what an instance takes: what is the same in all of a module's, or gone once they began, is in none."""

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Store, Table, Trap
from stratavm.contract import layout
from stratavm.spec.types import FUNCREF

TIERS = ("jit0", "oracle")
MANY = 1000


def bytes_of(text):
    """What an instance of a module takes of its store's budget, and where it is."""
    store = Store(Engine())
    instance = Linker(store.engine).instantiate(store, Module(text, engine=store.engine))
    return store.bytes_held, instance


def test_a_function_takes_an_instance_its_record_and_nothing_else():
    """Where its code lies is the same in all instances of a module, and in none of them."""
    (many, _), (one, _) = (bytes_of(f"(module {'(func)' * count})") for count in (MANY + 1, 1))
    assert many - one == MANY * layout.FUNC_REC.size


def test_active_data_segments_are_in_no_instance():
    """They are dropped once they are copied: what is known of them is the module's."""
    segments = '(data (i32.const 3) "x")' * MANY
    many, instance = bytes_of(f"(module (memory 1) {segments})")
    one, _ = bytes_of('(module (memory 1) (data (i32.const 3) "x"))')
    assert many == one
    assert instance.exports is not None and instance.data_segment(MANY - 1) == b""
    instance.drop_data(MANY - 1)
    with pytest.raises(IndexError, match=f"segment {MANY} of {MANY}"):
        instance.data_segment(MANY)


def test_passive_data_segments_are_numbered_with_the_active_ones():
    """Each instance drops its own."""
    text = """(module (memory (export "m") 1)
      (data (i32.const 0) "a") (data "first") (data (i32.const 1) "b") (data "second")
      (func (export "first") (param i32) (memory.init 1 (i32.const 8) (i32.const 0) (local.get 0)))
      (func (export "second") (param i32) (memory.init 3 (i32.const 16) (i32.const 0) (local.get 0)))
      (func (export "active") (param i32) (memory.init 2 (i32.const 0) (i32.const 0) (local.get 0)))
      (func (export "drop") (data.drop 1) (data.drop 2)))"""
    for tier in TIERS:
        store = Store(Engine(tier=tier))
        module = Module(text, engine=store.engine)
        one, other = (Linker(store.engine).instantiate(store, module).exports for _ in range(2))
        one.first(5), one.second(6), one.active(0), one.drop(), other.first(5)
        assert one.m[0:24] == b"ab".ljust(8, b"\0") + b"first\0\0\0second\0\0" and other.m[8:13] == b"first"
        for call in (one.first, one.active, other.active):
            with pytest.raises(Trap, match="out of bounds memory access"):
                call(1)


def test_element_segments_that_are_dropped_at_once_are_freed():
    """Active and declared ones; passive ones stay until the store ends."""

    def elements(count, kind):
        functions = "$f " * count
        return bytes_of(f'(module (table {MANY} funcref) (func $f (export "f")) (elem {kind} {functions}))')[0]

    assert elements(MANY, "(i32.const 0) func") == elements(0, "(i32.const 0) func")
    assert elements(MANY, "declare func") == elements(0, "declare func")
    assert elements(MANY, "func") == elements(0, "func") + 8 * MANY


FAILS = """(module (import "e" "t" (table 4 funcref)) (memory 1) (data (i32.const 0) "ab") (data (i32.const {at}) "cd")
  (data (i32.const 8) "ef") (data "gh") (elem (i32.const 0) func $take $drop) (elem (i32.const {element}) func $take)
  (func $take (param i32) (result i32)
    (block (block (block (block (br_table 0 1 2 3 (local.get 0)))
      (memory.init 0 (i32.const 16) (i32.const 0) (i32.const 2)) (return (i32.load16_u (i32.const 16))))
      (memory.init 1 (i32.const 16) (i32.const 0) (i32.const 2)) (return (i32.load16_u (i32.const 16))))
      (memory.init 2 (i32.const 16) (i32.const 0) (i32.const 2)) (return (i32.load16_u (i32.const 16))))
    (memory.init 3 (i32.const 16) (i32.const 0) (i32.const 2)) (i32.load16_u (i32.const 16)))
  (func $drop (data.drop 2)))"""


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("at", "element", "dropped"), [(65535, 0, 1), (0, 4, 0), (65535, 4, 0)])
def test_an_instance_that_failed_to_begin_has_the_segments_it_did_not_get_to(tier, at, element, dropped):
    """Its functions may be in an imported table by then: as specified, those segments are not dropped."""
    store = Store(Engine(tier=tier))
    table = Table.new(store, FUNCREF, 4)
    linker = Linker(store.engine)
    linker.define("e", "t", table)
    with pytest.raises(Trap, match="out of bounds"):
        linker.instantiate(store, Module(FAILS.format(at=at, element=element), engine=store.engine))
    take, drop = table[0], table[1]
    for index, wanted in enumerate((b"ab", b"cd", b"ef", b"gh")):
        if index < dropped:
            with pytest.raises(Trap, match="out of bounds memory access"):
                take(index)
        else:
            assert take(index) == int.from_bytes(wanted, "little")
    drop()
    with pytest.raises(stratavm.Trap, match="out of bounds memory access"):
        take(2)
