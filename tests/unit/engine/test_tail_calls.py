"""Claims about tail calls: the frame goes first, arguments take its place, and who called gets its context back."""

import asyncio
import threading

import pytest

from stratavm import Config, Engine, Linker, Module, Store, Trap
from stratavm.base.errors import DeadlineExceeded, Interrupted, OutOfFuel
from stratavm.engine.aot import Order, build_module
from stratavm.module.decode import decode
from stratavm.module.parser import parse_module
from stratavm.module.skeleton import pack, unpack
from stratavm.module.validate import validate
from tests.fuzz.oracles import engines
from tests.tail_calls import LEAST_STACK, PARITY, PING, PONG, deep_calls

TIERS = ["oracle", "jit0", "jit1", "auto"]
MASK = (1 << 64) - 1


@pytest.fixture(params=TIERS)
def engine(request):
    """An engine with each tier."""
    return Engine(Config(tier=request.param, strict=request.param.startswith("jit")))


def instance_of(engine, text, store=None, **imports):
    """An instance with functions of Python or exports of other instances in the module ``m``."""
    linker = Linker(engine)
    for name, item in imports.items():
        linker.define("m", name, item)
    return linker.instantiate(store or Store(engine), Module(text, engine=engine))


def test_calls_in_a_row_need_no_stack(engine):
    """A million and more in the least stack that there is; a hundred million by ``python -m tests.tail_calls``."""
    deep_calls(engine, 100_000 if engine.config.tier == "oracle" else 2_000_000)


def test_two_instances_call_each_other_a_million_times(engine):
    """Through an import and back through a table; each frame reads a global of its own instance."""
    count = 20_000 if engine.config.tier == "oracle" else 1_000_000
    store = Store(engine, limits=LEAST_STACK)
    pong = instance_of(engine, PONG, store)
    ping = instance_of(engine, PING, store, pong=pong.exports.pong, back=pong.exports.back)
    ping.exports.join()
    assert ping.exports.ping(count, 0) == count // 2 * 3 + count // 2 * 1000
    assert ping.exports.kept(count) == 7 * 3 + count // 2 * 1003


# ---- arguments and results on the stack ----

SHAPES = [(0, 0), (1, 0), (12, 0), (2, 9), (5, 10), (19, 3), (4, 8), (6, 0), (40, 20), (5, 0)]
"""Of each function: further integers and floats that it takes."""


def shapes(tail="return_call"):
    """Functions with ever other areas of arguments that call one another, and give nine results, three in cells."""
    functions = []
    for number, (integers, floats) in enumerate(SHAPES):
        following = (number + 1) % len(SHAPES)
        params = "i64 i64 " + "i64 " * integers + "f64 " * floats
        value = "(i64.mul (local.get 1) (i64.const 31))"
        for i in range(integers):
            value = f"(i64.add {value} (i64.mul (i64.const {i + 1}) (local.get {2 + i})))"
        for i in range(floats):
            value = f"(i64.xor {value} (i64.trunc_f64_s (local.get {2 + integers + i})))"
        more, halves = SHAPES[following]
        given = "".join(f"(i64.add (local.get 1) (i64.const {i}))" for i in range(more))
        given += "".join(f"(f64.convert_i64_u (i64.and (local.get 1) (i64.const {0xFFF + i})))" for i in range(halves))
        results = "".join(f"(i64.add (local.get 1) (i64.const {i}))" for i in range(9))
        target = {
            "return_call": f"return_call $f{following}",
            "return_call_ref": f"return_call_ref $t{following}",
            "return_call_indirect": f"return_call_indirect (type $t{following})",
        }[tail]
        last = {
            "return_call": "",
            "return_call_ref": f"(ref.func $f{following})",
            "return_call_indirect": f"(i32.const {following})",
        }[tail]
        functions.append(f"""(type $t{number} (func (param {params}) (result {"i64 " * 9})))
          (func $f{number} (export "f{number}") (type $t{number})
            (local.set 1 {value})
            (if (i64.eqz (local.get 0)) (then (return {results})))
            ({target} (i64.sub (local.get 0) (i64.const 1)) (local.get 1) {given} {last}))""")
    names = " ".join(f"$f{n}" for n in range(len(SHAPES)))
    first, floats = SHAPES[3]
    arguments = "(local.get 0) (i64.const 1)" + "(i64.const 2)" * first + "(f64.const 3)" * floats
    mixed = (
        "(i64.xor " * 8
        + "(local.get 1)"
        + "".join(f"(i64.rotl (local.get {n}) (i64.const {n})))" for n in range(2, 10))
    )
    return f"""(module {" ".join(functions)} (table funcref (elem {names}))
      (func (export "f") (param i64) (result i64)
        (local i64 i64 i64 i64 i64 i64 i64 i64 i64) (local $guard i64)
        (local.set $guard (i64.add (local.get 0) (i64.const 99)))
        (call $f3 {arguments})
        {"".join(f"(local.set {n})" for n in range(9, 0, -1))}
        (i64.add (i64.mul (local.get $guard) (i64.const 1000000007))
          {mixed})))"""


def expected(rounds):
    """What ``f`` of that gives."""
    number, n, value = 3, rounds, 1
    integers, floats = [2] * SHAPES[3][0], [3] * SHAPES[3][1]
    while True:
        value = value * 31
        for i, given in enumerate(integers):
            value += (i + 1) * given
        value &= MASK
        for given in floats:
            value ^= given
        if n == 0:
            break
        number, n = (number + 1) % len(SHAPES), n - 1
        integers = [value + i & MASK for i in range(SHAPES[number][0])]
        floats = [value & (0xFFF + i) for i in range(SHAPES[number][1])]
    found = value
    for k in range(2, 10):
        one = value + k - 1 & MASK
        found ^= (one << k | one >> 64 - k) & MASK
    total = (rounds + 99) * 1000000007 + found & MASK
    return total - (total >> 63 << 64)


@pytest.mark.parametrize("tail", ["return_call", "return_call_ref", "return_call_indirect"])
def test_arguments_grow_and_shrink_the_area_of_the_caller(engine, tail):
    """From none to sixty and back; further results come in cells that the first caller keeps."""
    exports = instance_of(engine, shapes(tail), Store(engine, limits=LEAST_STACK)).exports
    for rounds in (0, 1, 2, 9, 10, 23, 1001):
        assert exports.f(rounds) == expected(rounds)


@pytest.mark.parametrize("name", engines())
def test_every_variant_places_them_alike(name):
    """Register allocators, plans, passes and policies."""
    engine = engines()[name]
    exports = instance_of(engine, shapes()).exports
    assert [exports.f(n) for n in (0, 7, 40)] == [expected(n) for n in (0, 7, 40)]


# ---- contexts ----

LEAVING = """(module (type $i (func (param i32) (result i32)))
  (import "m" "double" (func $double (type $i)))
  (table $t 2 2 funcref) (global $g (mut i32) (i32.const 100))
  (elem (i32.const 0) $double) (elem declare func $double)
  (func $by_import (param i32) (result i32) (return_call $double (local.get 0)))
  (func $by_table (param i32) (result i32) (return_call_indirect (type $i) (local.get 0) (i32.const 0)))
  (func $by_reference (param i32) (result i32) (return_call_ref $i (local.get 0) (ref.func $double)))
  (func $through (param i32) (result i32) (return_call $by_import (local.get 0)))
  (func (export "import") (param i32) (result i32) (i32.add (call $by_import (local.get 0)) (global.get $g)))
  (func (export "table") (param i32) (result i32) (i32.add (call $by_table (local.get 0)) (global.get $g)))
  (func (export "reference") (param i32) (result i32) (i32.add (call $by_reference (local.get 0)) (global.get $g)))
  (func (export "through") (param i32) (result i32)
    (i32.add (call $through (call $through (local.get 0))) (global.get $g)))
  (func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.add (call $eight (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
      (local.get 7) (local.get 6)) (global.get $g)))
  (func $eight (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (return_call $by_table (i32.sub (local.get 6) (local.get 7)))))"""
DOUBLES = """(module (global $own i32 (i32.const 2))
  (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (global.get $own))))"""


@pytest.mark.parametrize("kind", ["guest", "host"])
def test_who_called_reads_its_own_globals_afterwards(engine, kind):
    """Though the callee of the same instance went on in another one, or in a function of Python."""
    store = Store(engine)
    double = (lambda x: 2 * x) if kind == "host" else instance_of(engine, DOUBLES, store).exports.double
    exports = instance_of(engine, LEAVING, store, double=double).exports
    for name in ("import", "table", "reference"):
        assert exports[name](21) == 142
    assert exports.through(5) == 120
    assert exports.many(0, 0, 0, 0, 0, 0, 4, 9) == 110


def test_a_module_is_known_to_leave_by_what_its_functions_do():
    """Tail calls of its own functions by name keep the context: then nobody pays."""
    for text, leaves in (
        ("(func $f (return_call $f))", False),
        ("(func $f (return_call $g)) (func $g (return_call $f))", False),
        ('(import "m" "f" (func $f)) (func (call $f))', False),
        ('(import "m" "f" (func $f)) (func (return_call $f))', True),
        ("(table 1 funcref) (func (return_call_indirect (i32.const 0)))", True),
        ("(type $t (func)) (func (param (ref $t)) (return_call_ref $t (local.get 0)))", True),
    ):
        model = parse_module(f"(module {text})")
        assert not model.functions.leaves
        validate(model)
        assert model.functions.leaves == leaves
        functions, _ = unpack(pack(model.functions, model.datas, len(model.binary)), len(model.binary))
        assert functions.leaves == leaves
        again = decode(model.binary)
        again.functions.leaves = leaves
        validate(again, vouched=True)
        assert again.functions.leaves == leaves


STAYS = """(module (import "m" "double" (func $double (param i32) (result i32))) (global $g (mut i32) (i32.const 100))
  (func $inner (param i32) (result i32) (local i32 i32 i32) (local.set 1 (i32.add (local.get 0) (i32.const 1)))
    (if (i32.eqz (local.get 0)) (then unreachable)) {call})
  (func (export "f") (param i32) (result i32) (i32.add (call $inner (local.get 0)) (global.get $g))))"""


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_an_edit_that_makes_a_module_leave_has_all_of_it_compiled_again(tier):
    """And one that makes it stay: an image is what a new build gives."""
    engine = Engine(tier=tier)
    texts = [STAYS.format(call=f"({word} $double (local.get 0))") for word in ("call", "return_call")]
    key = b"the key of these tests"
    fresh = [Module.build(text, engine, tier=tier).serialize(key=key) for text in texts]
    for old, new in ((0, 1), (1, 0), (1, 1)):
        built, report = build_module(Module, texts[new], engine, Order(tier=tier, old=fresh[old], key=key))
        assert built.serialize(key=key) == fresh[new]
        assert len(report.compiled) == (0 if old == new else 2)
    for data, number in zip(fresh, (142, 142), strict=True):
        module = Module.deserialize(data, engine, key=key)
        linker = Linker(engine)
        linker.define("m", "double", lambda x: 2 * x)
        assert linker.instantiate(Store(engine), module).exports.f(21) == number


# ---- the host ----


def test_functions_of_python_are_called_in_the_place_of_a_guest(engine):
    """What they give is the guest's result; what they raise comes out; they may call guests in turn."""
    text = """(module (import "m" "f" (func $f (param i32) (result i32 f64 i64)))
      (func (export "g") (param i32) (result i32 f64 i64) (return_call $f (i32.add (local.get 0) (i32.const 1))))
      (func (export "plain") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))"""
    calls = []

    def f(x):
        calls.append(x)
        if x == 0:
            raise LookupError("none")
        return (exports.plain(x), 0.5, x) if x < 5 else exports.g(x - 6)

    exports = instance_of(engine, text, f=f).exports
    assert exports.g(1) == (6, 0.5, 2)
    assert exports.g(7) == (9, 0.5, 3) and calls[-2:] == [8, 3]
    with pytest.raises(LookupError, match="none"):
        exports.g(-1)


# ---- traps ----

TRAPS = """(module (type $v (func)) (type $w (func (param i32)))
  (table $t 3 funcref) (elem (i32.const 0) $falls $other)
  (func $falls unreachable)
  (func $other (param i32))
  (func $direct (return_call $falls))
  (func $indirect (param i32) (return_call_indirect (type $v) (local.get 0)))
  (func $reference (return_call_ref $v (ref.null $v)))
  (func (export "direct") (call $direct))
  (func (export "indirect") (param i32) (call $indirect (local.get 0)))
  (func (export "reference") (call $reference)))"""


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "frames"),
    [
        ("direct", [], "unreachable", [0, 5]),
        ("indirect", [0], "unreachable", [0, 6]),
        ("indirect", [1], "indirect_call_mismatch", [3, 6]),
        ("indirect", [2], "uninitialized_element", [3, 6]),
        ("indirect", [3], "undefined_element", [3, 6]),
        ("reference", [], "null_function", [4, 7]),
    ],
)
def test_who_traps_before_the_call_has_a_frame_still_and_who_called_has_none(engine, name, arguments, kind, frames):
    """The frames of a trap are the same on every tier."""
    with pytest.raises(Trap) as caught:
        instance_of(engine, TRAPS).exports[name](*arguments)
    assert caught.value.kind == kind
    assert [frame.func for frame in caught.value.frames] == frames


# ---- what ends it ----


@pytest.mark.parametrize("name", ["forever", "alone"])
def test_a_deadline_ends_calls_without_end(engine, name):
    """Each call polls, and so does a function that calls itself."""
    exports = (instance := instance_of(engine, PARITY)).exports
    with pytest.raises(DeadlineExceeded), instance.store.deadline(0.05):
        exports[name](*[0] * len(exports[name].type.params))


def test_another_thread_ends_them(engine):
    """By ``Store.interrupt``; others run meanwhile."""
    instance = instance_of(engine, PARITY)
    ended = threading.Event()

    def stop():
        while not ended.wait(0.01):
            instance.store.interrupt()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        instance.exports.forever(0)
    ended.set()
    thread.join()


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_fuel_is_what_calls_would_take(tier):
    """Each basic block that runs is paid for; a function that calls itself pays as one that others call."""
    engine = Engine(tier=tier, fuel=True)
    store = Store(engine, fuel=1_000_000)
    exports = instance_of(engine, PARITY, store).exports
    used = []
    for n in (0, 1, 2, 10):
        before = store.fuel
        exports.even(n)
        used.append(before - store.fuel)
        before = store.fuel
        exports.sum(n, 0)
        used.append(before - store.fuel)
    assert used == [4, 7, 11, 19, 18, 31, 74, 127]
    with pytest.raises(OutOfFuel):
        exports.forever(0)
    assert store.fuel < 4


# ---- functions that are compiled later, images, fibers ----


def test_a_function_that_was_not_compiled_yet_is_compiled_at_its_tail_call(engine):
    """By name, through a table and through a reference, with arguments on the stack."""
    for tail in ("return_call", "return_call_ref", "return_call_indirect"):
        exports = instance_of(engine, shapes(tail)).exports
        assert exports.f(2) == expected(2)
        assert exports.f(13) == expected(13)


@pytest.mark.parametrize("name", ["jit0", "jit1", "auto 0", "auto 1", "auto loops 1", "auto random"])
@pytest.mark.parametrize("text", [shapes("return_call_indirect"), PARITY])
def test_images_have_them(name, text):
    """Their code is what is run, or lifted."""
    engine = engines()[name]
    data = Module.build(text, Engine(engine.config)).serialize()
    exports = Linker(engine).instantiate(Store(engine), Module.deserialize(data, engine)).exports
    if text == PARITY:
        assert [exports.even(n) for n in (0, 7, 500)] == [1, 0, 1] and exports.sum(500, 0) == 500 * 501 // 2
    else:
        assert exports.f(21) == expected(21)


WAITING = """(module (import "m" "wait" (func $wait (param i64) (result i64)))
  (global $g (mut i64) (i64.const 1000))
  (func (export "f") (param i64) (result i64) (i64.add (call $odd (local.get 0) (i64.const 0)) (global.get $g)))
  (func $odd (param i64 i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return_call $wait (local.get 1))))
    (return_call $even (i64.sub (local.get 0) (i64.const 1)) (call $wait (local.get 1)) (i64.const 3)
      (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8)))
  (func $even (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)
    (return_call $odd (local.get 0) (i64.add (call $wait (local.get 1)) (i64.sub (local.get 7) (local.get 6))))))"""


@pytest.mark.parametrize("name", ["jit0", "jit1", "auto 0", "auto 1", "auto loops 1", "auto random"])
def test_guests_suspend_between_tail_calls_and_in_one(name):
    """What a host function awaits in the place of the guest is the guest's result."""
    engine = engines()[name]

    async def wait(x):
        await asyncio.sleep(0)
        return x + 1

    async def main():
        assert await exports.f.call_async(3) == 1000 + 3 * 3 + 1
        assert await exports.f.call_async(0) == 1001

    exports = instance_of(engine, WAITING, wait=wait).exports
    asyncio.run(main())
