"""Claims about numbers that bound something: what is none is refused by the name of its argument."""

from functools import partial

import pytest

import stratavm
from stratavm import Config, Engine, Module, PoolConfig, ResourceLimit, Store, StoreLimits
from stratavm.module.limits import Limits
from stratavm.runtime.limits import COUNTS
from stratavm.wasi import Capture, MemoryTree, Quotas

WHOLE = {
    **{f"StoreLimits({name}=)": partial(lambda name, n: StoreLimits(**{name: n}), name) for name in COUNTS},
    **{f"PoolConfig({name}=)": partial(lambda name, n: PoolConfig(**{name: n}), name)
       for name in ("memories", "max_memory_bytes", "keep_pages")},
    **{f"Config({name}=)": partial(lambda name, n: Config(**{name: n}), name)
       for name in ("max_memory_bytes", "compile_bytes", "threads")},
    **{f"Limits({name}=)": partial(lambda name, n: Limits(**{name: n}), name) for name in Limits.__match_args__},
    **{f"Quotas({name}=)": partial(lambda name, n: Quotas(**{name: n}), name) for name in Quotas.__match_args__},
    **{f"run({name}=)": partial(lambda name, n: stratavm.run(b"", **{name: n}), name)
       for name in ("fuel", "max_memory", "max_output")},
    "Capture(limit_bytes=)": Capture,
    "MemoryTree(limit_bytes=)": lambda n: MemoryTree(limit_bytes=n),
    "Store(fuel=)": lambda n: Store(Engine(fuel=True), fuel=n),
    "fuel(fuel=)": lambda n: setattr(Store(Engine(fuel=True)), "fuel", n),
    "charge_bytes(count=)": lambda n: Store().charge_bytes(n),
    "refund_bytes(count=)": lambda n: Store().refund_bytes(n),
}  # fmt: skip
"""Every argument that bounds something by a whole number."""


@pytest.mark.parametrize("give", WHOLE.values(), ids=WHOLE)
def test_a_limit_that_is_no_whole_number_is_refused(give, request):
    """By its name. It became 0, or 1, or was compared with what it cannot be compared with later."""
    name = request.node.callspec.id.partition("(")[2].removesuffix("=)")
    for wrong in (1.5, "1", True, float("nan"), object()):
        with pytest.raises(TypeError, match=f"{name} must be a whole number"):
            give(wrong)
    with pytest.raises(ValueError, match=f"{name} must be (at least|between) .*got -1"):
        give(-1)


def test_a_limit_of_a_module_is_one_that_the_format_can_reach():
    """More is no number for the decoder, which said so when it met the module."""
    most = dict.fromkeys(Limits.__match_args__, (1 << 32) - 1)
    assert stratavm.load('(module (func (export "f")))', limits=Limits(**most)).exports.f() is None
    with pytest.raises(ValueError, match="locals must be between 0 and 4294967295, got 4294967296"):
        Limits(locals=1 << 32)


def test_a_limit_of_a_store_beyond_native_numbers_is_none():
    """It is as good as no limit."""
    limits = StoreLimits(**dict.fromkeys(COUNTS, 1 << 80))
    instance = stratavm.load('(module (memory 1) (table 1 funcref) (func (export "f")))', store=Store(limits=limits))
    assert instance.exports.f() is None


def test_a_number_of_another_library_is_a_number():
    """As it is, whatever it thinks of comparisons."""

    class Number(int):
        def __lt__(self, other):
            return True

    class Index:
        def __index__(self):
            return 7

    assert StoreLimits(handles=Index()).handles == 7
    assert type(StoreLimits(handles=Number(5)).handles) is int
    store = Store()
    store.charge_bytes(Index())
    assert store.bytes_held == 7


def test_fuel_is_added_and_taken_back_in_whole_units():
    """Half a unit was none."""
    store = Store(Engine(fuel=True), fuel=5)
    store.add_fuel(-2)
    with pytest.raises(TypeError, match=r"units must be a whole number, got 1.5"):
        store.add_fuel(1.5)
    with pytest.raises(ValueError, match="fuel must be between 0"):
        store.add_fuel(-4)
    assert store.fuel == 3


SECONDS = {
    "Config(load_timeout=)": lambda n: Config(load_timeout=n),
    "Module(timeout=)": lambda n: Module("(module)", timeout=n),
    "compile_all(timeout=)": lambda n: Module("(module)").compile_all(timeout=n),
    "run(timeout=)": lambda n: stratavm.run("(module)", timeout=n),
    "deadline(seconds=)": lambda n: Store().deadline(n).__enter__(),
}


@pytest.mark.parametrize("give", SECONDS.values(), ids=SECONDS)
def test_a_time_that_is_no_number_is_refused(give, request):
    """By its name; also what counts as a number elsewhere."""
    name = request.node.callspec.id.partition("(")[2].removesuffix("=)")
    for wrong in ("1", True, object()):
        with pytest.raises(TypeError, match=f"{name} must be a number of seconds"):
            give(wrong)
    with pytest.raises(ValueError, match=f"{name} must be a .*got nan"):
        give(float("nan"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fuel": 1000}, r"fuel must be True or False, got 1000; the units are for Store\(fuel=…\)"),
        ({"strict": "no"}, "strict must be True or False, got 'no'"),
        ({"limits": {"types": 5}}, "limits must be Limits, got"),
        ({"pool": 5}, "pool must be a PoolConfig or None, got 5"),
    ],
)
def test_an_engine_says_what_its_options_must_be(options, message):
    """When it is made, not when a module is loaded."""
    with pytest.raises(TypeError, match=message):
        Engine(**options)


def test_a_limiter_is_callable():
    """Else nothing would be asked."""
    with pytest.raises(TypeError, match="limiter must be callable"):
        StoreLimits(limiter=5)


MEMORY = '(module (memory (export "m") 1025))'
HOLDS = '(module (table (export "t") 2 externref))'
ADVICE = {
    "memory_bytes": (MEMORY, 1 << 26, r"1,025 pages \(64\.1 MiB\) is over the limit of 64 MiB; .*at least 67174400"),
    "table_elements": ("(module (table 1100 funcref))", 1000, r"1,100 elements is over the limit of 1,000; .*=1100\)"),
    "total_bytes": (MEMORY, 1 << 20, r"holds \d+ of 1048576 bytes; StoreLimits\(total_bytes=\d+\)"),
    "instances": ("(module)", 0, r"has 0 instances, its limit; StoreLimits\(instances=1\)"),
    "memories": (MEMORY, 0, r"has 0 memories, its limit; StoreLimits\(memories=1\)"),
    "tables": (HOLDS, 0, r"has 0 tables, its limit; StoreLimits\(tables=1\)"),
    "handles": (HOLDS, 1, r"hold 1 Python objects, the limit; StoreLimits\(handles=2\)"),
}
"""What runs into a limit of a store, the limit, and what is said."""


@pytest.mark.parametrize("name", ADVICE)
def test_a_limit_says_what_it_would_have_to_be(name):
    """With numbers that people read, and following the advice works."""
    source, most, words = ADVICE[name]

    def use(limit):
        with Store(limits=StoreLimits(**{name: limit})) as store:
            exports = stratavm.load(source, store=store).exports
            if name == "handles":
                exports.t[0], exports.t[1] = object(), object()

    with pytest.raises(ResourceLimit, match=words) as caught:
        use(most)
    assert caught.value.limit == name
    use(caught.value.needed)


def test_an_engine_s_cap_and_a_pool_say_what_they_would_have_to_be():
    """Whichever is the lower one."""
    for options in ({"max_memory_bytes": 1 << 26}, {"pool": PoolConfig(1, max_memory_bytes=1 << 26)}):
        with pytest.raises(ResourceLimit, match=r"max_memory_bytes=.*67174400") as caught:
            stratavm.load(MEMORY, **options)
        assert caught.value.needed == 1025 << 16
    engine = Engine(pool=PoolConfig(1))
    with Store(engine) as store, Store(engine) as other:
        stratavm.load(MEMORY, store=store)
        with pytest.raises(stratavm.PoolExhausted, match=r"all 1 slots .*PoolConfig\(memories=2\)"):
            stratavm.load(MEMORY, store=other)


def test_a_run_names_its_own_argument():
    """Not what it hands on."""
    done = stratavm.run('(module (memory (export "memory") 1025) (func (export "_start")))', max_memory=1 << 26)
    assert done.message == (
        "a memory of 1,025 pages (64.1 MiB) is over the limit of 64 MiB; max_memory must be at least 67174400"
    )
