"""Claims about what atomic instructions do to a shared memory: in every width and form of operand, as the oracle."""

import random

import pytest

from stratavm import Config, Engine, Linker, Module, Store, Trap

TIERS = ("jit0", "jit1", "auto")
WAYS = [(tier, plan, address) for tier in TIERS for plan in ("guard", "bounded") for address in ("i32", "i64")]
SHAPES = (("i32", ""), ("i64", ""), ("i32", "8"), ("i32", "16"), ("i64", "8"), ("i64", "16"), ("i64", "32"))
CHANGES = ("add", "sub", "and", "or", "xor", "xchg")
PAGE = 65536
FAR = (1 << 32) - 8
EDGES = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x8000, 0x1_0000, -0x8000_0000, 0x7FFF_FFFF)
FORMS = {
    "": "(param {a} {t}) (result {t}) ({op} offset=8 (local.get 0) (local.get 1))",
    " unseen": "(param {a} {t}) (drop ({op} offset=8 (local.get 0) (local.get 1)))",
    " of a number": "(param {a}) (result {t}) ({op} offset=8 (local.get 0) ({t}.const 0x85))",
    " of a number, unseen": "(param {a}) (drop ({op} offset=8 (local.get 0) ({t}.const 0xf5)))",
    " at a number": "(param {t}) (result {t}) ({op} ({a}.const 16) (local.get 0))",
    " of its address": "(param {a}) (result {t}) ({op} offset=8 (local.get 0) {own})",
    " twice": "(param {a} {t}) (result {t}) ({t}.xor ({op} offset=8 (local.get 0) (local.get 1)) "
    "({op} offset=16 (local.get 0) (local.get 1)))",
}
"""A change, by what its operands are and whether its result is asked for."""


def text(address: str, shared: bool = True) -> str:
    """A module with a function for everything."""
    out = [f'(module (memory (export "memory") {address} 1 2{" shared" if shared else ""})']

    def function(name: str, body: str) -> None:
        out.append(f'(func (export "{name}") {body})')

    for t, width in SHAPES:
        u = "_u" if width else ""
        own = "(local.get 0)" if t == address else f"({t}.{'wrap_i64' if t == 'i32' else 'extend_i32_u'} (local.get 0))"
        a = address
        function(f"{t} load{width}", f"(param {a}) (result {t}) ({t}.atomic.load{width}{u} offset=8 (local.get 0))")
        function(f"{t} store{width}", f"(param {a} {t}) ({t}.atomic.store{width} offset=8 (local.get 0) (local.get 1))")
        function(f"{t} put{width}", f"(param {a}) ({t}.atomic.store{width} offset=8 (local.get 0) ({t}.const -3))")
        exchange = f"{t}.atomic.rmw{width}.cmpxchg{u} offset=8 (local.get 0) (local.get 1) (local.get 2)"
        function(f"{t} cmpxchg{width}", f"(param {a} {t} {t}) (result {t}) ({exchange})")
        function(f"{t} cmpxchg unseen{width}", f"(param {a} {t} {t}) (drop ({exchange}))")
        for change in CHANGES:
            op = f"{t}.atomic.rmw{width}.{change}{u}"
            for form, body in FORMS.items():
                function(f"{t} {change}{form}{width}", body.format(a=a, t=t, op=op, own=own))
    function("far", f"(param {address}) (result i64) (i64.atomic.rmw.or offset={FAR} (local.get 0) (i64.const 1))")
    function("fence", "(atomic.fence)")
    return "\n".join([*out, ")"])


def exports(tier: str, plan: str, address: str, shared: bool = True):
    """Of an instance."""
    engine = Engine(Config(tier=tier, memory_plan=plan, strict=tier != "oracle"))
    return Linker(engine).instantiate(Store(engine), Module(text(address, shared), engine)).exports


def outcome(function, arguments):
    """What a call gives: a value, or the kind of a trap."""
    try:
        return function(*arguments)
    except Trap as trap:
        return trap.kind


@pytest.mark.parametrize(("tier", "plan", "address"), WAYS)
def test_each_does_what_it_says_in_every_form(tier, plan, address):
    """Results and memory are those of the oracle, on a memory that it has for itself."""
    ours, expected, rng = exports(tier, plan, address), exports("oracle", "guard", address, False), random.Random(1)
    memory = rng.randbytes(64)
    ours.memory.write(0, memory)
    expected.memory.write(0, memory)
    calls = 0
    for (t, width), _ in ((shape, k) for shape in SHAPES for k in range(6)):
        size = int(width or t[1:]) // 8
        for name in ("load", "store", "put", "cmpxchg", "cmpxchg unseen", *(c + f for c in CHANGES for f in FORMS)):
            value, where = rng.choice(EDGES), size * rng.randrange(4)
            arguments = [value] if name.endswith(" at a number") else [where]
            if name == "store" or name.removesuffix(" unseen").removesuffix(" twice") in CHANGES:
                arguments.append(value)
            if name.startswith("cmpxchg"):
                old = expected[f"{t} load{width}"](where)
                above = 1 << 8 * size if 8 * size < int(t[1:]) - 1 else 0
                arguments += [rng.choice((old, old ^ above, value)), rng.choice(EDGES)]
            both = [outcome(e[f"{t} {name}{width}"], arguments) for e in (ours, expected)]
            assert both[0] == both[1], (t, name, width, arguments)
            assert ours.memory.read(0, 64) == expected.memory.read(0, 64), (t, name, width, arguments)
            calls += 1
    assert calls == 6 * len(SHAPES) * (5 + len(CHANGES) * len(FORMS))
    ours.fence()


@pytest.mark.parametrize(("tier", "plan", "address"), WAYS)
def test_alignment_comes_before_bounds_and_nothing_is_changed(tier, plan, address):
    """At the end of the memory, beyond, and where the sum of address and offset leaves 32 bits or 64."""
    ours = exports(tier, plan, address)
    ours.memory.write(0, b"\1" * PAGE)
    top = 1 << (32 if address == "i32" else 64)
    for name, width in (("i64 add", 8), ("i64 or", 8), ("i64 cmpxchg", 8), ("i64 store", 8), ("i32 sub unseen16", 2)):
        more = (5, 6) if "cmpxchg" in name else (5,)
        last = PAGE - 8 - width
        assert outcome(ours[name], (last, *more)) not in ("memory_out_of_bounds", "unaligned_atomic")
        for at, kind in (
            (last + width, "memory_out_of_bounds"),
            (last + 1, "unaligned_atomic"),
            (PAGE + 1, "unaligned_atomic"),
            (top - 8 - width, "memory_out_of_bounds"),
            (top - 1, "unaligned_atomic"),
        ):
            assert outcome(ours[name], (at - (top if at >= top // 2 else 0), *more)) == kind, (name, at)
    assert ours.memory.read(0, PAGE - 16) == b"\1" * (PAGE - 16)
    assert outcome(ours["far"], (4,)) == "unaligned_atomic"
    assert outcome(ours["far"], (0,)) == outcome(ours["far"], (8 - 16,)) == "memory_out_of_bounds"
    if address == "i64":
        assert outcome(ours["i64 add"], (-8, 1)) == "memory_out_of_bounds", "the sum does not wrap"


@pytest.mark.parametrize(("tier", "plan", "address"), WAYS)
def test_what_was_found_to_be_inside_stays_so(tier, plan, address):
    """A trap in the middle of a loop leaves what the rounds before have done, and tells where it was."""
    text = f"""(module (memory (export "memory") {address} 1 1 shared)
      (func (export "fill") (param $at {address}) (loop $next
        (drop (i32.atomic.rmw.add (local.get $at) (i32.const 7)))
        (local.set $at ({address}.add (local.get $at) ({address}.const 4))) (br $next))))"""
    engine = Engine(Config(tier=tier, memory_plan=plan, strict=True))
    memory = (found := Linker(engine).instantiate(Store(engine), Module(text, engine)).exports).memory
    with pytest.raises(Trap) as caught:
        found.fill(PAGE - 400)
    assert caught.value.kind == "memory_out_of_bounds" and caught.value.frames
    assert memory.read(PAGE - 404, 404) == b"\0" * 4 + b"\7\0\0\0" * 100
