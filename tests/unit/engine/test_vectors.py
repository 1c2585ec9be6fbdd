"""Claims about values of 16 bytes in machine code: wherever one is kept, passed or moved, all of it arrives."""

import asyncio
import random

import pytest

from stratavm import Global, Linker, Module, Store, Tag, Trap, WasmException, load
from tests.vectors import v, vector_engine

WAYS = {
    "jit0": {"tier": "jit0"},
    "jit1": {"tier": "jit1"},
    "auto": {"tier": "auto"},
    "linear": {"tier": "jit1", "allocator": "linear"},
    "naive": {"tier": "jit0", "allocator": "naive"},
    "without-avx": {"tier": "jit1", "cpu": "v2"},
    "starved": {"tier": "jit0", "starved": True},
    "starved-without-avx": {"tier": "jit0", "cpu": "v2", "starved": True},
    "starved1": {"tier": "jit1", "starved": True},
    "starved-naive": {"tier": "jit1", "allocator": "naive", "starved": True},
}


@pytest.fixture(params=WAYS)
def engine(request, monkeypatch):
    """Engines that treat values differently: each tier and allocator; few registers, and garbage in what is dead."""
    options = dict(WAYS[request.param])
    if options.pop("starved", False):
        monkeypatch.setenv("STRATA_REGS", "4")
        monkeypatch.setenv("STRATA_POISON", "1")
        monkeypatch.setenv("STRATA_POLL", "always")
        monkeypatch.setenv("STRATA_CHECK", "2")
    return vector_engine(**options)


def instance_of(engine, text, **imports):
    """An instance in a store of its own, with imports from the module ``m``."""
    return load(text, {"m": imports}, store=Store(engine))


# ---- parameters, results, blocks ----

MANY = 13
"""Vectors that a function takes: eight are in registers, the others in cells of the stack."""
TYPES = [t for i in range(MANY) for t in ("v128", ("i32", "f32", "i64", "f64")[i % 4])]


def numbers(seed):
    """Arguments of ``TYPES``."""
    return [v(seed + i) if t == "v128" else seed + i + (0.5 if t[0] == "f" else 0) for i, t in enumerate(TYPES)]


def order(seed):
    """A permutation of the parameters that keeps their types."""
    rng = random.Random(seed)
    places = list(range(len(TYPES)))
    for t in set(TYPES):
        own = [i for i in places if TYPES[i] == t]
        for i, k in zip([i for i, u in enumerate(TYPES) if u == t], rng.sample(own, len(own)), strict=True):
            places[i] = k
    return places


def gets(places):
    """Locals on the stack."""
    return " ".join(f"local.get {k}" for k in places)


ORDERS = [order(seed) for seed in range(4)]
SIGNATURE = f"(param {' '.join(TYPES)}) (result {' '.join(TYPES)})"
PASSING = f"""(module
  (type $t (func {SIGNATURE}))
  (import "m" "host" (func $host (type $t)))
  (table funcref (elem $p0 $p1 $p2 $p3 $host))
  (elem declare func $p1)
  {"".join(f'(func $p{i} (export "p{i}") (type $t) {gets(o)})' for i, o in enumerate(ORDERS))}
  (func (export "direct") (type $t) {gets(ORDERS[0])} call $p1 call $p2)
  (func (export "indirect") (param $k i32) (param {" ".join(TYPES)}) (result {" ".join(TYPES)})
    {gets(range(1, len(TYPES) + 1))} local.get $k call_indirect (type $t))
  (func (export "reference") (type $t) {gets(range(len(TYPES)))} ref.func $p1 call_ref $t)
  (func (export "tail") (type $t) {gets(ORDERS[2])} return_call $p3)
  (func $shorter (export "shorter") (param $x v128) (result {" ".join(TYPES)})
    {" ".join("local.get $x" if t == "v128" else f"({t}.const 3)" for t in TYPES)} return_call $p1)
  (func (export "longer") (type $t) local.get 10 return_call $shorter)
  (func (export "out") (type $t) {gets(ORDERS[1])} call $host call $p2)
  (func (export "outwards") (type $t) {gets(ORDERS[3])} return_call $host)
  (func (export "blocks") (param {" ".join(TYPES)}) (param $n i32) (result {" ".join(TYPES)})
    {gets(range(len(TYPES)))}
    (block (type $t) (block (type $t) local.get $n br_if 1 br 0))
    (loop $l (type $t)
      {" ".join(f"local.set {i}" for i in reversed(range(len(TYPES))))}
      {gets(ORDERS[3])}
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""


def through(places, values):
    """What a permutation gives."""
    return [values[k] for k in places]


@pytest.fixture
def passing(engine):
    """The instance, and what its host function was called with."""
    seen = []

    def host(*values):
        seen.append(values)
        return through(ORDERS[0], values)

    return instance_of(engine, PASSING, host=host).exports, seen


def test_every_order_of_arguments_and_results(passing):
    """Registers, stack cells and the cells of further results, in parallel moves with cycles."""
    exports, _ = passing
    for seed in range(3):
        values = numbers(seed)
        for i, places in enumerate(ORDERS):
            assert list(exports[f"p{i}"](*values)) == through(places, values)
            assert list(exports.indirect(i, *values)) == through(places, values)
        assert list(exports.direct(*values)) == through(ORDERS[2], through(ORDERS[1], through(ORDERS[0], values)))
        assert list(exports.reference(*values)) == through(ORDERS[1], values)


def test_tail_calls_with_more_and_fewer_cells(passing):
    """The arguments take the place of those that the function got."""
    exports, seen = passing
    values = numbers(5)
    assert list(exports.tail(*values)) == through(ORDERS[3], through(ORDERS[2], values))
    given = [v(77) if t == "v128" else 3 for t in TYPES]
    assert list(exports.shorter(v(77))) == through(ORDERS[1], given)
    assert list(exports.longer(*values))[::2] == [values[10]] * MANY
    assert list(exports.outwards(*values)) == through(ORDERS[0], through(ORDERS[3], values))
    assert list(seen[-1]) == through(ORDERS[3], values)


def test_host_functions_get_and_give_all_of_it(passing):
    """In cells, and back."""
    exports, seen = passing
    values = numbers(9)
    handed = through(ORDERS[1], values)
    assert list(exports.out(*values)) == through(ORDERS[2], through(ORDERS[0], handed))
    assert list(seen[-1]) == handed
    assert list(exports.indirect(4, *values)) == through(ORDERS[0], values)


def test_parameters_of_blocks_and_loops(passing):
    """Values go round a loop, each to another place."""
    exports, _ = passing
    for rounds in (1, 2, 5):
        values = expected = numbers(20)
        for _ in range(rounds):
            expected = through(ORDERS[3], expected)
        assert list(exports.blocks(*values, rounds)) == expected


MOST = 1000
"""Parameters and results that a function may have."""
WIDE = f"""(module
  (type $t (func (param {"v128 " * MOST}) (result {"v128 " * MOST})))
  (func $id (export "id") (type $t) {" ".join(f"local.get {MOST - 1 - i}" for i in range(MOST))})
  (func (export "twice") (type $t) {" ".join(f"local.get {i}" for i in range(MOST))} call $id call $id)
  (func $deep (export "deep") (type $t) {" ".join(f"local.get {i}" for i in range(MOST))} call $deep call $id))"""


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_a_thousand_vectors(tier):
    """In and out; and a recursion of such frames ends in a trap, after which all is well."""
    exports = load(WIDE, store=Store(vector_engine(tier))).exports
    values = [v(i) for i in range(MOST)]
    assert list(exports.id(*values)) == values[::-1]
    with pytest.raises(Trap, match="stack"):
        exports.deep(*values)
    assert list(exports.twice(*values)) == values


# ---- select, locals, globals ----

KEEPING = """(module
  (import "m" "own" (global $theirs (mut v128)))
  (import "m" "fixed" (global $fixed v128))
  (import "m" "host" (func $host))
  (global $mine (export "mine") (mut v128) (global.get $fixed))
  (func (export "select") (param v128 v128 i32) (result v128)
    (select (result v128) (local.get 0) (local.get 1) (local.get 2)))
  (func (export "pick") (param v128 v128 f64 f64) (result v128)
    (select (local.get 0) (local.get 1) (f64.eq (local.get 2) (local.get 3))))
  (func (export "unlike") (param v128 v128 f64 f64) (result v128)
    (select (local.get 0) (local.get 1) (f64.ne (local.get 2) (local.get 3))))
  (func (export "swap") (param v128) (result v128 v128)
    global.get $mine  global.get $theirs
    (global.set $mine (local.get 0))
    (global.set $theirs (global.get $fixed)))
  (func (export "fresh") (param i32) (result v128) (local v128 v128)
    (if (local.get 0) (then (local.set 1 (global.get $mine))))
    (call $host)
    (local.get 1))
  (func (export "across") (param v128 v128) (result v128 v128 v128) (local v128)
    (local.set 2 (global.get $theirs))
    (call $host) (call $host)
    (local.get 1) (local.get 0) (local.get 2))
  (func (export "hot") (param v128 i32) (result v128) (local v128)
    (loop $l
      (local.set 2 (global.get $mine))
      (global.set $mine (local.get 0))
      (local.set 0 (local.get 2))
      (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (local.get 0)))"""


@pytest.fixture
def keeping(engine):
    """The exports, and the global that they import."""
    store = Store(engine)
    own = Global.new(store, "v128", v(1), mutable=True)
    fixed = Global.new(store, "v128", v(2))
    imports = {"own": own, "fixed": fixed, "host": lambda: None}
    return load(KEEPING, {"m": imports}, store=store).exports, own


def test_select_takes_all_of_one_value(keeping):
    """By flags, by two flags, by a number."""
    exports, _ = keeping
    nan = float("nan")
    for condition in (0, 1, 1 << 31):
        assert exports.select(v(3), v(4), condition) == v(3 if condition else 4)
    for a, b in ((1.0, 1.0), (1.0, 2.0), (nan, 1.0)):
        assert exports.pick(v(3), v(4), a, b) == v(3 if a == b else 4)
        assert exports.unlike(v(3), v(4), a, b) == v(3 if a != b else 4)


def test_globals_own_and_imported(keeping):
    """Read and written by code, and by Python."""
    exports, own = keeping
    assert exports.swap(v(5)) == (v(2), v(1))
    assert (exports.mine.value, own.value) == (v(5), v(2))
    own.value = v(6)
    exports.mine.value = v(7)
    assert exports.swap(v(8)) == (v(7), v(6))
    assert exports.hot(v(9), 1) == v(8)
    assert exports.hot(v(9), 4) == v(9)
    assert exports.mine.value == v(9)


def test_locals_are_zero_and_survive_calls(keeping):
    """In slots of 16 bytes."""
    exports, _ = keeping
    assert exports.fresh(0) == bytes(16)
    assert exports.fresh(1) == v(2)
    assert exports.across(v(3), v(4)) == (v(4), v(3), v(1))


# ---- exceptions ----

THROWING = """(module
  (tag $t (export "t") (param v128 f32 v128 i32))
  (func $throw (export "throw") (param v128 v128) (throw $t (local.get 0) (f32.const 2.5) (local.get 1) (i32.const -1)))
  (func (export "catch") (param v128 v128 v128) (result v128 f32 v128 i32 v128)
    (block (result v128 f32 v128 i32)
      (try_table (catch $t 0) (call $throw (local.get 0) (local.get 1)))
      unreachable)
    (local.get 2))
  (func (export "divide") (param v128 i32) (result v128)
    (drop (i32.div_u (i32.const 1) (local.get 1))) (local.get 0)))"""


def test_exceptions_carry_vectors(engine):
    """Within a guest, and to Python and back."""
    exports = instance_of(engine, THROWING).exports
    assert exports.catch(v(1), v(2), v(3)) == (v(1), 2.5, v(2), -1, v(3))
    with pytest.raises(WasmException) as info:
        exports.throw(v(4), v(5))
    assert info.value.values == (v(4), 2.5, v(5), -1)


def test_an_exception_of_python_brings_vectors_to_a_guest(engine):
    """Made by a host function, caught by its caller."""
    text = """(module
      (import "m" "tag" (tag $t (param i32 v128 f64))) (import "m" "host" (func $host (param v128)))
      (func (export "f") (param v128) (result i32 v128 f64)
        (block (result i32 v128 f64) (try_table (catch $t 0) (call $host (local.get 0))) unreachable)))"""
    store = Store(engine)
    tag = Tag.new(store, ["i32", "v128", "f64"])

    def host(value):
        raise WasmException(tag, (7, value[::-1], 0.5))

    exports = load(text, {"m": {"tag": tag, "host": host}}, store=store).exports
    assert exports.f(v(3)) == (7, v(3)[::-1], 0.5)


def test_a_trap_leaves_and_the_next_call_is_whole(engine):
    """With vectors in registers and slots."""
    exports = instance_of(engine, THROWING).exports
    for i in range(3):
        with pytest.raises(Trap):
            exports.divide(v(i), 0)
        assert exports.divide(v(i), 1) == v(i)


# ---- the boundary ----


def test_what_a_vector_may_be_in_python(engine):
    """Sixteen bytes; nothing else."""
    exports = instance_of(engine, '(module (func (export "id") (param v128) (result v128) (local.get 0)))').exports
    assert exports.id(v(1)) == v(1)
    assert exports.id(bytearray(v(2))) == v(2)
    for wrong in (b"short", bytes(17), 1.5, "text", None):
        with pytest.raises(TypeError):
            exports.id(wrong)


def test_a_suspended_guest_keeps_its_vectors(engine):
    """In an asynchronous call, across an await of the host."""

    async def host(value):
        await asyncio.sleep(0)
        return value[::-1]

    text = """(module (import "m" "host" (func $host (param v128) (result v128)))
      (func (export "f") (param v128 v128 i32) (result v128 v128)
        (loop $l
          (local.set 0 (call $host (local.get 0)))
          (br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
        (local.get 0) (local.get 1)))"""
    linker = Linker(engine)
    linker.define("m", "host", host)
    exports = linker.instantiate(Store(engine), Module(text, engine)).exports

    async def main():
        return await exports.f.call_async(v(1), v(2), 3)

    assert asyncio.run(main()) == (v(1)[::-1], v(2))


PATHS = """(module
  (import "m" "host" (func $host (param v128 f64) (result v128)))
  (func (export "one") (param v128) (result v128) (local.get 0))
  (func (export "mixed") (param i64 v128 f32 v128) (result v128 f32 v128 i64)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "none") (result v128) (call $host (v128.const i64x2 1 2) (f64.const 3)))
  (func (export "divide") (param v128 i32) (result v128)
    (drop (i32.div_u (i32.const 1) (local.get 1))) (local.get 0)))"""


@pytest.mark.parametrize("calls", ["machine", "generic"])
def test_each_path_of_calls_takes_vectors(calls):
    """From the first call to the code that is made for the signature; what is no ``bytes`` takes the slow one."""
    engine = vector_engine("jit0", calls=calls)
    exports = instance_of(engine, PATHS, host=lambda value, number: bytes(reversed(value)))
    exports = exports.exports
    for i in range(200):
        assert exports.one(v(i)) == v(i)
        assert exports.one(bytearray(v(i))) == v(i)
        big = (-1) ** i * (i << 55)
        assert exports.mixed(big, v(i), 0.5, v(i + 1)) == (v(i + 1), 0.5, v(i), big)
        assert exports.none() == (1 | 2 << 64).to_bytes(16, "big")
        with pytest.raises(Trap):
            exports.divide(v(i), 0)
        assert exports.divide(v(i), 1) == v(i)
        with pytest.raises(TypeError):
            exports.one(v(i)[1:])
    assert {exports[name].path for name in ("one", "mixed", "none", "divide")} == {
        "machine" if calls == "machine" else "quick"
    }
