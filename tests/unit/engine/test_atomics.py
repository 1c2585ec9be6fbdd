"""Claims about the atomic instructions on a memory that nobody shares: the suite's script, run on such a memory."""

import re

import pytest

from stratavm import Config, Engine, Linker, Module, Store, Trap, ValidationError
from stratavm.engine.script import EngineHost
from stratavm.module.features import DEFAULT
from stratavm.module.wast_runner import run_script

TIERS = ("oracle", "jit0", "jit1", "auto")
TEXT = """(module
  (memory (export "memory") {address} 1) (memory $other (export "other") 1)
  (func (export "load") (param {address}) (result i64) (i64.atomic.load32_u offset=4 (local.get 0)))
  (func (export "store") (param {address} i64) (i64.atomic.store16 offset=2 (local.get 0) (local.get 1)))
  (func (export "add") (param {address} i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func (export "sub") (param {address} i64) (result i64) (i64.atomic.rmw32.sub_u (local.get 0) (local.get 1)))
  (func (export "xchg8") (param {address} i32) (result i32)
    (i32.atomic.rmw8.xchg_u offset=3 (local.get 0) (local.get 1)))
  (func (export "cas") (param {address} i64 i64) (result i64)
    (i64.atomic.rmw16.cmpxchg_u (local.get 0) (local.get 1) (local.get 2)))
  (func (export "other_or") (param i32) (result i32)
    (i32.atomic.rmw.or $other (i32.const 8) (local.get 0)))
  (func (export "notify") (param {address}) (result i32)
    (atomic.fence) (memory.atomic.notify offset=4 (local.get 0) (i32.const 9)))
  (func (export "wait") (param {address}) (result i32)
    (memory.atomic.wait64 (local.get 0) (i64.const 0) (i64.const 0)) (drop) (i32.const 5))
  (func (export "odd") (param {address}) (result i32) (i32.atomic.load offset=3 (local.get 0)))
  (func (export "count") (param $n i32) (result i32)
    (loop $next
      (drop (i32.atomic.rmw.add ({address}.const 64) (i32.const 3)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.atomic.load ({address}.const 64))))"""


@pytest.fixture(params=[(t, a) for t in TIERS for a in ("i32", "i64")], ids=lambda p: f"{p[0]}-{p[1]}")
def exports(request):
    """Of an instance on each tier, with addresses of both kinds."""
    engine = Engine(Config(tier=request.param[0]))
    module = Module(TEXT.format(address=request.param[1]), engine=engine)
    return Linker(engine).instantiate(Store(engine), module).exports


def test_each_reads_computes_and_writes(exports):
    """In its width, in its memory; the result is what was there."""
    exports.memory.write(0, bytes(range(1, 17)))
    assert exports.load(0) == 0x08070605 and exports.add(0, 1) == 0x04030201
    assert exports.memory.read(0, 4) == b"\2\2\3\4"
    assert exports.sub(8, 0x0C0B0A0A) == 0x0C0B0A09 and exports.memory.read(8, 8) == b"\xff\xff\xff\xff\r\x0e\x0f\x10"
    exports.store(0, -2)
    assert exports.xchg8(0, 0x1FF) == 0xFF and exports.memory.read(2, 2) == b"\xfe\xff"
    assert exports.cas(4, 0x0605, 0x70000) == 0x0605 and exports.memory.read(4, 3) == b"\0\0\7"
    assert exports.cas(4, 0x10001, 1) == 0 and exports.memory.read(4, 2) == b"\0\0"
    assert exports.cas(4, 0x10000, 1) == 0 and exports.memory.read(4, 2) == b"\1\0", "what is expected is cut first"
    assert exports.other_or(6) == 0 and exports.other_or(1) == 6 and exports.other.read(8, 4) == b"\7\0\0\0"
    assert exports.count(1000) == 3000


def test_addresses_are_multiples_of_the_width_before_they_are_in_bounds(exports):
    """With the offset counted; ``notify`` and ``wait`` look as well, and then nobody waits."""
    size = 1 << 16
    assert exports.odd(1) == 0 and exports.notify(0) == 0
    for action, kind in (
        (lambda: exports.odd(0), "unaligned_atomic"),
        (lambda: exports.add(2, 0), "unaligned_atomic"),
        (lambda: exports.add(size + 1, 0), "unaligned_atomic"),
        (lambda: exports.add(-1, 0), "unaligned_atomic"),
        (lambda: exports.add(size, 0), "memory_out_of_bounds"),
        (lambda: exports.add(-4, 0), "memory_out_of_bounds"),
        (lambda: exports.store(size, 0), "memory_out_of_bounds"),
        (lambda: exports.cas(1, 0, 0), "unaligned_atomic"),
        (lambda: exports.notify(1), "unaligned_atomic"),
        (lambda: exports.notify(size - 4), "memory_out_of_bounds"),
        (lambda: exports.wait(4), "unaligned_atomic"),
        (lambda: exports.wait(size), "memory_out_of_bounds"),
        (lambda: exports.wait(8), "not_shared"),
    ):
        with pytest.raises(Trap) as caught:
            action()
        assert caught.value.kind == kind


def test_alignment_is_the_natural_one():
    """And what is reserved in a fence is zero."""
    with pytest.raises(ValidationError, match="atomic alignment must be natural"):
        Module("(module (memory 1) (func (drop (i32.atomic.load align=2 (i32.const 0)))))")
    with pytest.raises(ValidationError, match="alignment must not be larger than natural"):
        Module("(module (memory 1) (func (drop (i32.atomic.load align=8 (i32.const 0)))))")
    binary = bytes.fromhex("0061736d010000000104016000000302010 00a070105 00fe03010b".replace(" ", ""))
    with pytest.raises(Exception, match="zero byte expected"):
        Module(binary)


def test_a_shared_memory_is_refused_by_its_proposal():
    """The instructions alone need none."""
    text = "(module (memory 1 1 shared))"
    with pytest.raises(ValidationError, match="a shared memory: needs the proposal threads"):
        Module(text, Engine(features=DEFAULT - {"threads"}))
    Module(text)


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
def test_the_suite_s_script_passes_where_its_memories_are_not_shared(spec_dir, tier):
    """But for the two assertions of what waits, which traps then."""
    text = (spec_dir / "proposals/threads/atomic.wast").read_text()
    text = re.sub(r"\(memory 1 1 shared\)", "(memory 1 1)", text)
    text, waits = re.subn(r"\(assert_return \(invoke \"memory.atomic.wait.*\n", "", text)
    assert waits == 2
    report = run_script(text, EngineHost(Config(tier=tier)))
    assert report.failed == 0 and report.passed == 233, report.failures[:5]
