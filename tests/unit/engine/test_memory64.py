"""Claims about memories and tables with 64-bit addresses: no sum and no size wraps, and Python sees them as others."""

import shutil
import subprocess

import pytest

from stratavm import Config, Engine, Linker, LinkError, Memory, Module, ResourceLimit, Store, StoreLimits, Table, Trap
from stratavm.wasi import Wasi
from tests.unit.engine.exported import Exporting

CLANG = shutil.which("clang") or shutil.which("clang-14")
LD = shutil.which("wasm-ld") or shutil.which("wasm-ld-14")
PAGE = 1 << 16
TOP = 1 << 64
CONFIGS = [Config(tier=tier, memory_plan="guard") for tier in ("oracle", "jit0", "jit1", "auto")]
TEXT = """(module
  (memory $m (export "memory") i64 1 3) (memory $none (export "none") i64 0 1) (memory $narrow (export "narrow") 1 2)
  (data (i64.const 65530) "data") (data $some "passive")
  (func (export "peek") (param i64) (result i32) (i32.load8_u (local.get 0)))
  (func (export "get8") (param i64) (result i64) (i64.load offset=8 (local.get 0)))
  (func (export "past") (param i64) (result i32) (i32.load8_u offset=65536 (local.get 0)))
  (func (export "far") (param i64) (result i32) (i32.load8_u offset=0xFFFFFFFF00000000 (local.get 0)))
  (func (export "farthest") (param i64) (result i64) (i64.load offset=0xFFFFFFFFFFFFFFFF (local.get 0)))
  (func (export "top") (result i32) (i32.load offset=4 (i64.const -2)))
  (func (export "fixed") (result i32) (i32.load8_u offset=65532 (i64.const 1)))
  (func (export "behind") (result i32) (i32.load8_u offset=0x7FFFFFFFFFFFFFFF (i64.const 0x7FFFFFFFFFFFFFFF)))
  (func (export "of_none") (param i64) (result i32) (i32.load8_u $none (local.get 0)))
  (func (export "put") (param i64 i64) (i64.store offset=16 (local.get 0) (local.get 1)))
  (func (export "scaled") (param i64) (result i64)
    (i64.load (i64.shl (local.get 0) (i64.const 3))))
  (func (export "twice") (param i64) (result i64)
    (i64.add (i64.load offset=24 (local.get 0)) (i64.load offset=8 (local.get 0))))
  (func (export "size") (result i64) memory.size)
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
  (func (export "fill") (param i64 i64) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
  (func (export "init") (param i64 i32 i32) (memory.init $some (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i64 i64 i64) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "out") (param i32 i64 i32) (memory.copy $narrow $m (local.get 0) (local.get 1) (local.get 2)))
  (func (export "into") (param i64 i32 i32) (memory.copy $m $narrow (local.get 0) (local.get 1) (local.get 2))))"""


@pytest.fixture(params=CONFIGS, ids=lambda config: config.tier)
def engine(request):
    """An engine with each tier."""
    return Engine(request.param)


exports_of = Exporting(TEXT)


def traps(*actions, kind="memory_out_of_bounds"):
    """Each of them traps."""
    for action in actions:
        with pytest.raises(Trap) as caught:
            action()
        assert caught.value.kind == kind


def signed(value):
    """As Python gets and gives an i64."""
    return value - TOP if value >> 63 else value


def test_an_address_that_wraps_is_out_of_bounds(engine):
    """With an offset below the size, at it, beyond, and with one that nothing can be added to."""
    exports = exports_of(engine)
    assert exports.peek(65533) == ord("a") and exports.fixed() == ord("a")
    exports.put(40, -2)
    assert exports.get8(48) == -2 == exports.scaled(7) and exports.twice(32) == -2
    assert exports.get8(65520) == int.from_bytes(bytes(2) + b"data" + bytes(2), "little")
    for function in (exports.peek, exports.get8, exports.past, exports.scaled, exports.twice, exports.of_none):
        for address in (
            TOP - 1,
            TOP - 8,
            TOP - 9,
            TOP - 16,
            TOP - 65536,
            TOP - 65537,
            1 << 63,
            1 << 32,
            65536,
            1 << 61,
        ):
            if function is exports.scaled and address << 3 & TOP - 1 < 65529:
                continue
            traps(lambda function=function, address=address: function(signed(address)))
    traps(
        lambda: exports.get8(65521),
        lambda: exports.past(0),
        lambda: exports.of_none(0),
        lambda: exports.top(),
        lambda: exports.behind(),
        lambda: exports.put(-16, 0),
        lambda: exports.put(-24, 0),
    )
    for address in (0, 1, 2, 8, 1 << 32, (1 << 32) + 5, TOP - 1):
        place = signed(address)
        traps(lambda place=place: exports.far(place), lambda place=place: exports.farthest(place))


def test_sizes_are_of_64_bits(engine):
    """-1 is one of them; a growth that nobody can have is none."""
    exports = exports_of(engine)
    assert exports.size() == 1 and exports.grow(1) == 1 and exports.size() == 2
    for delta in (2, 1 << 32, 1 << 48, (1 << 63) - 1, -1, -(1 << 63)):
        assert exports.grow(delta) == -1
    assert exports.grow(1) == 2 and exports.peek(3 * PAGE - 1) == 0
    traps(lambda: exports.peek(3 * PAGE))


def test_bulk_operations_take_64_bits_and_mixed_ones_the_shorter_length(engine):
    """Ranges that wrap trap, and write nothing."""
    exports = exports_of(engine)
    exports.fill(10, 4)
    exports.copy(100, 8, 6)
    assert exports.memory.read(100, 6) == b"\0\0\7\7\7\7"
    exports.init(200, 1, 3)
    exports.out(PAGE - 3, 200, 3)
    exports.into(PAGE - 3, PAGE - 3, 3)
    assert exports.memory.read(PAGE - 3, 3) == b"ass" == exports.narrow.read(PAGE - 3, 3)
    traps(
        lambda: exports.fill(-1, 2),
        lambda: exports.fill(8, -8),
        lambda: exports.fill(1, -1),
        lambda: exports.copy(-1, 0, 1),
        lambda: exports.copy(0, -1, 2),
        lambda: exports.copy(16, 8, -8),
        lambda: exports.init(-1, 0, 1),
        lambda: exports.out(0, -1, 1),
        lambda: exports.into(-1, 0, 1),
    )
    assert exports.memory.read(8, 6) == b"\0\0\7\7\7\7"


LOOPS = """(module (memory (export "memory") i64 1 4)
  (func (export "sum") (param $p i64) (param $n i64) (result i64) (local $i i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum)
        (i64.load32_u offset=4 (i64.add (local.get $p) (i64.shl (local.get $i) (i64.const 2))))))
      (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.get $sum))
  (func (export "ints") (param $p i64) (param $n i32) (result i64) (local $i i32) (local $sum i64)
    (block $done (loop $next
      (br_if $done (i32.ge_s (local.get $i) (local.get $n)))
      (local.set $sum (i64.add (local.get $sum)
        (i64.load32_u (i64.add (local.get $p) (i64.shl (i64.extend_i32_s (local.get $i)) (i64.const 2))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (local.get $sum))
  (func (export "walk") (param $p i64) (param $end i64) (param $step i64) (result i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $p))))
      (br_if $next (i64.ne (local.tee $p (i64.add (local.get $p) (i64.const 16))) (local.get $end))))
    (local.get $sum))
  (func (export "down") (param $n i64) (param $p i64) (result i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load8_u (i64.add (local.get $p) (local.get $n)))))
      (br_if $next (i64.ne (local.tee $n (i64.add (local.get $n) (i64.const -1))) (i64.const 0))))
    (local.get $sum))
  (func (export "aligned") (param $p i64) (param $n i64) (result i64) (local $i i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum)
        (i64.load8_u (i64.and (i64.add (local.get $p) (local.get $i)) (i64.const -8)))))
      (br_if $next (i64.lt_s (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.get $sum)))"""


def test_loops_without_checks_trap_where_the_others_would(engine):
    """What comes from before the loop is small, or is not: then nothing is left out."""
    exports = exports_of(engine, LOOPS)
    content = bytes(i * 7 % 251 for i in range(PAGE))
    exports.memory.write(0, content)
    words = memoryview(content).cast("I")
    assert exports.sum(8, 1000) == sum(words[3:1003]) and exports.sum(PAGE - 404, 100) == sum(words[-100:])
    assert exports.ints(8, 1000) == sum(words[2:1002]) and exports.ints(0, -5) == 0
    assert exports.walk(5, 5 + 16 * 1000, 0) == sum(content[5 : 5 + 16 * 1000 : 16])
    assert exports.down(5000, 100) == sum(content[101:5101])
    assert exports.aligned(100, 1000) == sum(content[(100 + i) & -8] for i in range(1000))
    last = signed(TOP - 4 * 500)
    assert exports.ints(PAGE - 400, 100) == sum(words[-100:])
    traps(
        lambda: exports.sum(8, PAGE),
        lambda: exports.sum(signed(TOP - 8), 1000),
        lambda: exports.sum(last, 1000),
        lambda: exports.sum(8, -1),
        lambda: exports.sum(8, 1 << 40),
        lambda: exports.sum(1 << 62, 1 << 33),
        lambda: exports.ints(PAGE - 400, 101),
        lambda: exports.ints(-4, 1000),
        lambda: exports.ints(-(1 << 63), 1000),
        lambda: exports.walk(5, 4, 0),
        lambda: exports.walk(1 << 40, (1 << 40) + 16 * 1000, 0),
        lambda: exports.walk(-16 * 500, 16 * 500, 0),
        lambda: exports.down(5000, PAGE - 2000),
        lambda: exports.down(-1, 100),
        lambda: exports.down(5000, -2000),
        lambda: exports.aligned(-2000, 1000),
        lambda: exports.aligned(PAGE - 500, 1000),
    )


TABLES = """(module
  (type $f (func (result i32)))
  (table $t (export "t") i64 4 10 funcref) (table $n (export "n") 4 funcref)
  (elem $e func $a $b) (elem (table $t) (i64.const 1) func $a $b)
  (func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 2))
  (func (export "call") (param i64) (result i32) (call_indirect $t (type $f) (local.get 0)))
  (func (export "peek") (param i64) (result funcref) (table.get $t (local.get 0)))
  (func (export "set") (param i64) (table.set $t (local.get 0) (ref.func $a)))
  (func (export "size") (result i64) (table.size $t))
  (func (export "grow") (param i64) (result i64) (table.grow $t (ref.null func) (local.get 0)))
  (func (export "fill") (param i64 i64) (table.fill $t (local.get 0) (ref.func $b) (local.get 1)))
  (func (export "init") (param i64 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i64 i64 i64) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "out") (param i32 i64 i32) (table.copy $n $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "into") (param i64 i32 i32) (table.copy $t $n (local.get 0) (local.get 1) (local.get 2))))"""


def test_tables_are_indexed_by_64_bits(engine):
    """An index is not cut to 32 bits, and no range wraps."""
    exports = exports_of(engine, TABLES)
    assert exports.call(1) == 1 and exports.call(2) == 2
    traps(
        lambda: exports.call(4), lambda: exports.call((1 << 32) + 1), lambda: exports.call(-1), kind="undefined_element"
    )
    traps(lambda: exports.call(0), kind="uninitialized_element")
    traps(
        lambda: exports.peek((1 << 32) + 1),
        lambda: exports.set(-1),
        lambda: exports.fill(1, -1),
        lambda: exports.fill(-1, 2),
        lambda: exports.init(-1, 0, 1),
        lambda: exports.copy(0, -1, 2),
        lambda: exports.copy(1, 0, -1),
        lambda: exports.out(0, 1 << 32, 1),
        lambda: exports.into(1 << 32, 0, 1),
        kind="table_out_of_bounds",
    )
    assert exports.size() == 4 and exports.grow(1 << 32) == -1 and exports.grow(-1) == -1 and exports.grow(2) == 4
    exports.init(4, 0, 2)
    exports.copy(0, 5, 1)
    exports.out(3, 0, 1)
    exports.into(3, 3, 1)
    assert exports.call(5) == exports.call(0) == exports.call(3) == 2 and exports.n[3]() == 2
    assert exports.grow(4) == 6 and exports.grow(1) == -1 and len(exports.t) == 10 and exports.t.type.limits.is64


def test_python_makes_them_and_address_types_must_match(engine):
    """With sizes in pages and in bytes."""
    store = Store(engine)
    memory, table = Memory.new(store, 1, is64=True), Table.new(store, "funcref", 3, is64=True)
    assert memory.type.limits.is64 and table.type.limits.is64 and len(memory) == PAGE
    assert repr(memory) == "<Memory 1.. pages, 64-bit>"
    text = """(module (import "m" "memory" (memory {0} 1)) (import "m" "table" (table {0} 3 funcref))
      (func (export "size") (result {0}) memory.size))"""
    exports = exports_of(engine, text.format("i64"), store, memory=memory, table=table)
    assert memory.grow(1) == 1 and exports.size() == 2
    with pytest.raises(LinkError, match="expected memory 1, found memory i64 2"):
        exports_of(engine, text.format("i32"), store, memory=memory, table=table)
    with pytest.raises(LinkError, match="expected table 3 funcref, found table i64 3 funcref"):
        exports_of(engine, text.format("i32"), store, memory=Memory.new(store, 1), table=table)
    assert Memory.new(store, 0, 1 << 48, is64=True).type.limits.maximum == 1 << 48
    with pytest.raises(ValueError, match="maximum"):
        Memory.new(store, 0, (1 << 48) + 1, is64=True)
    with pytest.raises(TypeError, match="is64 must be True or False, got 1"):
        Memory.new(store, 0, is64=1)


def test_what_nobody_has_room_for_is_a_resource_limit(engine):
    """No minimum wraps, in the smallest page or the largest."""
    for minimum in (1 << 17, 1 << 48, (1 << 48) - 1):
        with pytest.raises(ResourceLimit, match="is over the limit of 4 GiB"):
            exports_of(engine, f"(module (memory i64 {minimum}))")
    with pytest.raises(ResourceLimit, match=r"a table of .* elements is over the limit"):
        exports_of(engine, "(module (table i64 0xFFFFFFFFFFFFFFFF funcref))")
    exports = exports_of(engine, '(module (memory (export "m") i64 0 0x1000000000000))')
    assert exports.m.grow(1 << 40) == -1 and exports.m.grow(1 << 48) == -1


def test_beyond_four_gibibytes_a_memory_is_as_before():
    """Where limits allow it: places are not cut to 32 bits."""
    text = """(module (memory i64 65536 65537)
      (func (export "put") (param i64 i64) (i64.store (local.get 0) (local.get 1)))
      (func (export "peek") (param i64) (result i64) (i64.load (local.get 0)))
      (func (export "grow") (result i64) (memory.grow (i64.const 1))))"""
    for tier in ("jit0", "jit1"):
        engine = Engine(tier=tier)
        limits = StoreLimits(memory_bytes=5 << 30)
        try:
            exports = exports_of(engine, text, Store(engine, limits=limits))
        except ResourceLimit:
            pytest.skip("no address space")
        exports.put(0, 5)
        assert exports.grow() == 1 << 16
        exports.put(1 << 32, 77)
        assert exports.peek(1 << 32) == 77 and exports.peek(0) == 5
        traps(lambda exports=exports: exports.peek((1 << 32) + PAGE - 7))


C = """
static int a[1000];
long sum(int n) {
  long s = 0;
  for (int i = 0; i < n; i++) a[i] = i * 3;
  for (int i = 0; i < n; i++) s += a[i];
  return s;
}
int at(long i) { return a[i]; }
"""


@pytest.mark.skipif(CLANG is None or LD is None, reason="no clang")
def test_c_that_is_compiled_for_wasm64_runs(engine, tmp_path):
    """With pointers of 64 bits, and indices that are extended to them."""
    (tmp_path / "f.c").write_text(C)
    compiling = [CLANG, "--target=wasm64", "-O2", "-c", tmp_path / "f.c", "-o", tmp_path / "f.o"]
    subprocess.run(compiling, check=True, capture_output=True)
    linking = [LD, "-mwasm64", "--no-entry", "--export=sum", "--export=at", tmp_path / "f.o", "-o", tmp_path / "f.wasm"]
    subprocess.run(linking, check=True, capture_output=True)
    exports = exports_of(engine, tmp_path / "f.wasm")
    assert exports.sum(1000) == 3 * sum(range(1000)) and exports.at(999) == 2997
    traps(lambda: exports.at(1 << 61), lambda: exports.at(-1 << 40), lambda: exports.sum(1 << 30))


def test_wasi_is_refused_by_name_where_it_would_take_wide_pointers():
    """Its functions take i32; a guest whose pointers are i64 asks for others."""
    engine = Engine()
    text = """(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i64 i64 i64) (result i32)))
      (memory (export "memory") i64 1))"""
    linker = Linker(engine)
    store = Store(engine)
    with Wasi() as wasi:
        linker.define_namespaces(wasi.namespaces())
        with pytest.raises(LinkError, match="fd_write"):
            linker.instantiate(store, Module(text, engine=engine))
