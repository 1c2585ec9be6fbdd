"""Claims about fuel: what is charged depends on the module and its input alone, and what is charged is enough."""

import random

import pytest

import stratavm
from stratavm import Config, Engine, Linker, Module, OutOfFuel, Store, StoreLimits
from stratavm.ir.pipeline import PASSES
from tests.fuzz import generators, oracles

PLENTY = 10_000
OPTIONS = {
    "oracle": {"tier": "oracle"},
    "jit0": {"strict": True},
    "naive": {"strict": True, "allocator": "naive", "memory_plan": "bounded"},
    "jit1": {"tier": "jit1", "strict": True},
    "jit1 bounded": {"tier": "jit1", "strict": True, "memory_plan": "bounded"},
    "jit1 without passes": {"tier": "jit1", "strict": True, "passes": (), "machine_passes": ()},
    **{
        f"jit1 without {name}": {"tier": "jit1", "strict": True, "passes": tuple(p for p in PASSES if p != name)}
        for name in PASSES
    },
}
BULK = """(module
  (memory (export "memory") 1) (data $d "0123456789abcdef")
  (table $t 40 funcref) (elem $e func 0 0 0 0) (table $g 0 1000 funcref)
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "copy") (param i32) (memory.copy (i32.const 8) (i32.const 0) (local.get 0)))
  (func (export "init") (param i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "fill_table") (param i32) (table.fill $t (i32.const 0) (ref.null func) (local.get 0)))
  (func (export "copy_table") (param i32) (table.copy $t $t (i32.const 1) (i32.const 0) (local.get 0)))
  (func (export "init_table") (param i32) (table.init $t $e (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "grow_table") (param i32) (result i32) (table.grow $g (ref.null func) (local.get 0)))
  (func (export "many") (result i32) (table.grow $g (ref.func 0) (i32.const 400)))
  (func (export "size") (result i32) (table.size $g)))
"""
STEPS = """(module
  (import "env" "left" (func $left (result i64)))
  (func (export "straight") (result i64) (drop (i32.const 1)) (nop) (call $left))
  (func (export "branch") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (i32.const 2))) (else (i32.const 5))))
  (func (export "both") (param i32)
    (if (if (result i32) (local.get 0) (then (i32.lt_s (local.get 0) (i32.const 3))) (else (i32.const 0)))
      (then (nop))))
  (func (export "count") (param i32)
    (block (loop (br_if 1 (i32.eqz (local.get 0))) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 0))))
  (func $deep (export "deep") (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "spin") (loop (br 0))))
"""


@pytest.fixture(scope="module")
def engines():
    """Every tier and every pass off, counting fuel."""
    return {name: Engine(Config(fuel=True, **options)) for name, options in OPTIONS.items()}


@pytest.fixture(params=["oracle", "jit0", "jit1"])
def engine(request, engines):
    """Each tier."""
    return engines[request.param]


def instance_of(engine, text, fuel=PLENTY, imports=None):
    """A store with fuel, and an instance in it."""
    store = Store(engine, fuel=fuel)
    linker = Linker(engine)
    for name, function in (imports or {}).items():
        linker.define("env", name, function)
    return store, linker.instantiate(store, Module(text, engine=engine))


def history(data, engine, seed):
    """What calls return, how they end, and what they used, with little fuel and with much."""
    module = Module(data, engine=engine)
    rng = random.Random(seed)
    store = Store(engine, fuel=5_000, limits=StoreLimits(memory_bytes=1 << 24))
    try:
        instance = Linker(engine).instantiate(store, module)
    except (stratavm.Trap, stratavm.LinkError, stratavm.ResourceLimit) as error:
        yield type(error).__name__, getattr(error, "kind", ""), store.fuel
        return
    functions = [e for e in module.exports if e.kind == "func"]
    for _ in range(8 if functions else 0):
        export = rng.choice(functions)
        store.fuel = rng.choice((0, 3, 20, 300, 20_000))
        arguments = [oracles.argument(rng, t) for t in module.export_type(export).params]
        try:
            instance.exports[export.name].call_raw(arguments)
            ended = "returned"
        except stratavm.StackOverflow:
            return  # how deep a stack is differs
        except stratavm.Trap as trap:
            ended = trap.kind, trap.frames[0].offset if trap.kind == "out_of_fuel" else None
        yield export.name, ended, store.fuel, store.fuel_used


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_every_tier_charges_the_same_for_random_modules(engines, first):
    """Units used, units left, and the place where they ran out."""
    ran = 0
    for seed in range(first, first + 20):
        data = generators.smith(seed)
        try:
            histories = {name: list(history(data, engine, seed)) for name, engine in engines.items()}
        except stratavm.ModuleError:
            continue
        (name, expected), *others = histories.items()
        ran += len(expected) > 1
        for other, found in others:
            for a, b in zip(expected, found, strict=False):
                assert a == b, f"seed {seed}: {name} and {other}"
    assert ran >= 5


def test_a_basic_block_costs_its_operators(engine):
    """Counted by hand; nop, block, loop, else, end and drop are free."""
    store, instance = instance_of(engine, STEPS, imports={"left": lambda: store.fuel})
    before = store.fuel
    assert instance.exports.straight() == before - 2  # the constant and the call, charged before the block runs
    for argument, cost in ((1, 2 + 3), (0, 2 + 1)):
        before = store.fuel
        instance.exports.branch(argument)
        assert before - store.fuel == cost
    for argument, cost in ((1, 2 + 3 + 1), (0, 2 + 1 + 1)):
        before = store.fuel
        instance.exports.both(argument)
        assert before - store.fuel == cost
    before = store.fuel
    instance.exports.count(10)
    assert before - store.fuel == 11 * 3 + 10 * 5
    assert store.fuel_used == PLENTY - store.fuel


@pytest.mark.parametrize("name", ["fill", "copy", "init", "fill_table", "copy_table", "init_table"])
def test_bulk_operations_cost_their_size(engine, name):
    """A unit per eight bytes or per element, charged after the bounds were checked and before anything is written."""
    store, instance = instance_of(engine, BULK)
    call = instance.exports[name]
    base = PLENTY - (call(0), store.fuel)[1]
    size, cost = (4, 4) if "table" in name else (16, 2)
    store.fuel = base + cost
    call(size)
    assert store.fuel == 0
    store.fuel = base + cost - 1
    with pytest.raises(OutOfFuel):
        call(size)
    assert store.fuel == cost - 1
    store.fuel = base
    with pytest.raises(stratavm.Trap, match="out of bounds"):
        call(0xFFFF_FFFF)


def test_growing_a_table_costs_its_new_elements(engine):
    """Whatever they are; charged before anything is written, and not where the maximum does not allow them."""
    store, instance = instance_of(engine, BULK)
    grow, size = instance.exports.grow_table, instance.exports.size
    base = PLENTY - (grow(0), store.fuel)[1]
    store.fuel = base + 500
    assert grow(500) == 0
    assert store.fuel == 0
    store.fuel = base + 499
    with pytest.raises(OutOfFuel) as caught:
        grow(500)
    assert caught.value.frames[0].name == "grow_table"
    assert store.fuel == 499
    assert grow(501) == -1 and grow(0xFFFF_FFFF) == -1
    assert store.fuel == 499 - 2 * base
    store.fuel = 400
    with pytest.raises(OutOfFuel):
        instance.exports.many()
    store.fuel = PLENTY
    assert size() == 500


def test_the_host_pays_no_fuel(engine):
    """A table that Python grows."""
    store, instance = instance_of(engine, BULK.replace("(table $g", '(table $g (export "g")'), 7)
    assert instance.exports.g.grow(1000) == 0
    assert store.fuel == 7


def test_a_guest_that_never_ends_runs_out_of_fuel(engine):
    """The error is typed, tells the frames, leaves the rest, and the instance is usable afterwards."""
    store, instance = instance_of(engine, STEPS, 1001, {"left": lambda: 0})
    with pytest.raises(OutOfFuel) as caught:
        instance.exports.spin()
    assert caught.value.kind == "out_of_fuel"
    assert caught.value.frames[0].name == "spin"
    assert store.fuel == 0
    store.fuel = 20
    with pytest.raises(OutOfFuel) as caught:
        instance.exports.deep(100)
    assert len(caught.value.frames) > 2
    store.add_fuel(1000)
    instance.exports.deep(100)


def test_host_functions_charge_for_what_they_do(engine):
    """The store's fuel is theirs to change while the guest waits for them."""
    store, instance = instance_of(engine, STEPS, imports={"left": lambda: store.add_fuel(-9_990) or 0})
    instance.exports.straight()
    assert store.fuel == 8
    assert store.fuel_used == 2  # what the host took back was not used by a guest


def test_fuel_is_off_by_default():
    """Nothing is counted, and giving some is refused."""
    with Store(Engine()) as store:
        assert store.fuel is None
        assert store.fuel_used is None
        with pytest.raises(ValueError, match="fuel=True"):
            store.fuel = 1


@pytest.mark.parametrize("units", [-1, 1 << 63])
def test_fuel_has_bounds(engine, units):
    """What does not fit is refused, and nothing changes."""
    store = Store(engine, fuel=7)
    with pytest.raises(ValueError, match="between 0"):
        store.fuel = units
    assert store.fuel == 7


def test_without_fuel_the_code_does_not_count():
    """Off costs nothing: not one instruction."""
    from stratavm.engine.stages import dump_stage

    plain, counting = (Module(STEPS, engine=Engine(fuel=fuel)) for fuel in (False, True))
    for stage in ("ssa", "minst"):
        assert "fuel" not in dump_stage(plain, 2, stage)
    assert "fuel" in dump_stage(counting, 2, "ssa")


def test_a_charge_stores_nothing_where_fuel_does_not_suffice():
    """A load, a subtraction, the way out, then the store: a subtraction in memory would have to be undone."""
    from stratavm.engine.stages import dump_stage

    lines = dump_stage(Module(STEPS, engine=Engine(fuel=True)), 2, "asm").splitlines()
    words = [line.split()[2:4] for line in lines if not line.startswith(";")]
    charges = [words[i : i + 4] for i, word in enumerate(words) if word == ["sub", "r11,"]]
    assert len(charges) == 3
    for charge in charges:
        assert [word[0] for word in charge[:3]] == ["sub", "jb", "mov"]
    assert not any(word == ["sub", "qword"] for word in words)
