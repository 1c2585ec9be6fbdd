"""Claims about numbers that bound something: what is none is refused by the name of its argument."""

import asyncio
import contextlib
import os
import re
from functools import partial
from pathlib import Path

import pytest

import stratavm
from stratavm import (
    Config,
    Engine,
    ExitError,
    GcConfig,
    GcConstants,
    Global,
    Memory,
    MemorySlots,
    Module,
    Policy,
    Pool,
    Recovering,
    Rejected,
    ResourceLimit,
    Restart,
    SharedMemory,
    Store,
    StoreLimits,
    Table,
    Tenant,
    Trap,
    Wasi,
)
from stratavm.base.events import Bus
from stratavm.module.limits import Limits
from stratavm.runtime.events import StoreClosed
from stratavm.runtime.limits import COUNTS
from stratavm.services.di import Services
from stratavm.services.lifecycle import Service
from stratavm.services.listening import listening
from stratavm.spec.types import I32, GlobalType
from stratavm.testing import FakeClock
from stratavm.wasi import Capture, FixedClock, MemoryTree, Quotas

PROGRAM = '(module (func (export "_start")))'
PUBLIC = Path(__file__).parents[2] / "arch" / "_gen_public_api.txt"


def memory():
    """A new memory of a page that may have three."""
    return Memory.new(Store(), 1, 3)


def guest_array(length):
    """A new array of a guest's type."""
    engine = stratavm.Engine()
    return Module("(module (type (array i8)))", engine).object_type(0).new(Store(engine), length=length)


def searched(**part):
    """A search in such an array, from a place on or up to one; there is nothing to be found."""
    with contextlib.suppress(ValueError):
        guest_array(3).index(1, **part)


def shared():
    """A new shared memory of a page."""
    return SharedMemory(None, 1, 3)


def changed(name, what, number):
    """What a change of a shared memory by one number more returns."""
    given = {"address": 0, "value": 0, "width": 4} | {what: number}
    return getattr(shared(), name)(given["address"], given["value"], given["width"])


def exchanged(what, number):
    """The same for the one with an expected number."""
    return shared().compare_exchange(**({"address": 0, "expected": 0, "value": 0} | {what: number}))


def table():
    """A new table of two elements that may have five."""
    return Table.new(Store(), "externref", 2, 5)


def pooled(use=None, **options):
    """What a pool of a small program answers: its call with these options, or what is made of the pool in the loop."""

    async def asks():
        pool = Pool(lambda store: stratavm.load('(module (func (export "f") (result i32) (i32.const 7)))', store=store))
        async with pool:
            return await (use(pool) if use else pool.call("f", **options))

    return asyncio.run(asks())


async def entered(pool, **options):
    """An instance for several calls, given back."""
    async with pool.instance(**options) as guest:
        return await guest.call("f")


def mapped(**options):
    """Results in threads."""
    make = stratavm.Linker(Engine())
    pool = Pool(make.instantiate_pre(Module('(module (func (export "f")))', make.engine)))
    return list(pool.map("f", **options))


def listened(**options):
    """An async listener with these options, whose group has nothing else to do."""

    async def listens():
        async with listening(Bus(), StoreClosed, print, **options):
            pass

    try:
        asyncio.run(listens())
    except BaseExceptionGroup as raised:
        raise raised.exceptions[0] from None


WHOLE = {
    "GuestType.new(length=)": lambda n: guest_array(n),
    **{f"GcConfig({name}=)": partial(lambda name, n: GcConfig(**{name: n}), name)
       for name in ("pause_us", "soft_bytes", "hard_bytes", "journal_entries")},
    **{f"GcConstants({name}=)": partial(lambda name, n: GcConstants(**{name: n}), name)
       for name in ("nursery_bytes", "slice_us")},
    **{f"StoreLimits({name}=)": partial(lambda name, n: StoreLimits(**{name: n}), name) for name in COUNTS},
    **{f"MemorySlots({name}=)": partial(lambda name, n: MemorySlots(**{name: n}), name)
       for name in ("memories", "max_memory_bytes", "keep_pages")},
    **{f"Config({name}=)": partial(lambda name, n: Config(**{name: n}), name)
       for name in ("max_memory_bytes", "compile_bytes", "threads", "lift_after")},
    **{f"Limits({name}=)": partial(lambda name, n: Limits(**{name: n}), name) for name in Limits.__match_args__},
    **{f"Quotas({name}=)": partial(lambda name, n: Quotas(**{name: n}), name) for name in Quotas.__match_args__},
    **{f"run({name}=)": partial(lambda name, n: stratavm.run(b"", **{name: n}), name)
       for name in ("fuel", "max_memory", "max_output")},
    **{f"Policy({name}=)": partial(lambda name, n: Policy(**{name: n}), name)
       for name in ("max_running", "min_running", "spare", "max_queued", "min_ready", "max_ready")},
    **{f"Tenant({name}=)": partial(lambda name, n: Tenant("ann", **{name: n}), name)
       for name in ("max_running", "max_queued")},
    "Pool.map(threads=)": lambda n: mapped(threads=n),
    "Capture(limit_bytes=)": Capture,
    "MemoryTree(limit_bytes=)": lambda n: MemoryTree(limit_bytes=n),
    "Memory.new(minimum=)": lambda n: Memory.new(Store(), n),
    "Memory.new(maximum=)": lambda n: Memory.new(Store(), 0, n),
    "Memory.new(page_size=)": lambda n: Memory.new(Store(), 0, page_size=n),
    "Table.new(minimum=)": lambda n: Table.new(Store(), "funcref", n),
    "Table.new(maximum=)": lambda n: Table.new(Store(), "funcref", 0, n),
    "Restart(attempts=)": lambda n: Restart(attempts=n),
    "FixedClock(step_ns=)": lambda n: FixedClock(0, n),
    "listen(capacity=)": lambda n: listened(capacity=n),
    "Store(fuel=)": lambda n: Store(Engine(fuel=True), fuel=n),
    "fuel(fuel=)": lambda n: setattr(Store(Engine(fuel=True)), "fuel", n),
    "run(threads=)": lambda n: stratavm.run('(module (func (export "_start")))', threads=n),
    "SharedMemory(minimum=)": lambda n: SharedMemory(None, n, 65536),
    "SharedMemory(maximum=)": lambda n: SharedMemory(None, 0, n),
    "SharedMemory(page_size=)": lambda n: SharedMemory(None, 0, 1, page_size=n),
    "SharedMemory(waiters=)": lambda n: SharedMemory(None, 0, 1, waiters=n),
    "SharedMemory.notify(count=)": lambda n: shared().notify(0, n),
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


def test_calls_are_counted_up_to_what_their_counters_hold():
    """More is an error where it is asked for, and not where a module is loaded."""
    for wrong in (1 << 32, 1 << 64, 1 << 200):
        with pytest.raises(ValueError, match="lift_after must be between 0 and 4294967295 calls"):
            Config(lift_after=wrong)
    for tier in ("jit0", "jit1", "oracle"):
        with pytest.raises(ValueError, match=f"lift_after is for the tier auto; the engine's is {tier}, which lifts"):
            Config(tier=tier, lift_after=5)
    engine = Engine(lift_after=(1 << 32) - 1)
    module = stratavm.Module('(module (func (export "f") (result i32) (i32.const 1)))', engine)
    assert stratavm.Linker(engine).instantiate(Store(engine), module).exports.f() == 1


PLACES = {
    "memory[index]": (lambda n: memory()[n], IndexError, "memory index"),
    "memory[index] = 0": (lambda n: memory().__setitem__(n, 0), IndexError, "memory index"),
    "memory[0] = value": (lambda n: memory().__setitem__(0, n), ValueError, "a byte"),
    "Memory.grow(pages)": (lambda n: memory().grow(n), -1, "pages"),
    "Memory.view(address)": (lambda n: memory().view("B", n), Trap, "address"),
    "Memory.view(count)": (lambda n: memory().view("i", 4, n), Trap, "count"),
    "Memory.read(address)": (lambda n: memory().read(n, 1), Trap, "address"),
    "Memory.read(count)": (lambda n: memory().read(0, n), Trap, "count"),
    "Memory.write(address)": (lambda n: memory().write(n, b"a"), Trap, "address"),
    "Memory.unpack(address)": (lambda n: memory().unpack("<I", n), Trap, "address"),
    "Memory.pack(address)": (lambda n: memory().pack("<I", n, 0), Trap, "address"),
    "Memory.read_cstring(address)": (lambda n: memory().read_cstring(n), Trap, "address"),
    "Memory.read_cstring(limit)": (lambda n: memory().read_cstring(65536, n), Trap, "limit"),
    "SharedMemory.grow(pages)": (lambda n: shared().grow(n), -1, "pages"),
    "SharedMemory.read(address)": (lambda n: shared().read(n, 1), Trap, "address"),
    "SharedMemory.read(count)": (lambda n: shared().read(0, n), Trap, "count"),
    "SharedMemory.write(address)": (lambda n: shared().write(n, b"a"), Trap, "address"),
    "SharedMemory.unpack(address)": (lambda n: shared().unpack("<I", n), Trap, "address"),
    "SharedMemory.pack(address)": (lambda n: shared().pack("<I", n, 0), Trap, "address"),
    "SharedMemory.read_cstring(address)": (lambda n: shared().read_cstring(n), Trap, "address"),
    "SharedMemory.read_cstring(limit)": (lambda n: shared().read_cstring(65536, n), Trap, "limit"),
    "SharedMemory.load(address)": (lambda n: shared().load(n), Trap, "address"),
    "SharedMemory.load(width)": (lambda n: shared().load(0, n), ValueError, "width"),
    **{
        f"SharedMemory.{name}({what})": (partial(changed, name, what), Trap if what == "address" else ValueError, what)
        for name in ("store", "add", "sub", "and_", "or_", "xor", "exchange")
        for what in ("address", "value", "width")
    },
    **{
        f"SharedMemory.compare_exchange({what})": (
            partial(exchanged, what),
            Trap if what == "address" else ValueError,
            what,
        )
        for what in ("address", "expected", "value", "width")
    },
    "SharedMemory.wait(address)": (lambda n: shared().wait(n, 0, 0), Trap, "address"),
    "SharedMemory.wait(expected)": (lambda n: shared().wait(0, n, 0), ValueError, "expected"),
    "SharedMemory.wait(width)": (lambda n: shared().wait(0, 0, 0, n), ValueError, "width"),
    "SharedMemory.notify(address)": (lambda n: shared().notify(n), Trap, "address"),
    "table[index]": (lambda n: table()[n], IndexError, "table index"),
    "table[index] = None": (lambda n: table().__setitem__(n, None), IndexError, "table index"),
    "Table.grow(delta)": (lambda n: table().grow(n), -1, "delta"),
    "Table.get(index)": (lambda n: table().get(n), Trap, "table index"),
    "Global(bits)": (lambda n: Global(Store(), GlobalType(I32, False), n), OverflowError, "bits"),
    "Store.func_from_raw(raw)": (lambda n: Store().func_from_raw(n), ValueError, "raw"),
    "FixedClock(realtime_ns)": (lambda n: FixedClock(n), ValueError, "realtime_ns"),
}
"""Every argument that says where or how much, what a number outside is answered with, and what the argument is called
in errors."""
FREE = {
    "GuestObject.index(start)": (lambda n: searched(start=n), "start"),
    "GuestObject.index(stop)": (lambda n: searched(stop=n), "stop"),
    "Wasi(seed)": (lambda n: Wasi(seed=n), "seed"),
    "ExitError(code)": (ExitError, "code"),
    "Pool.call(priority)": (lambda n: pooled(priority=n), "priority"),
    "Pool.instance(priority)": (lambda n: pooled(partial(entered, priority=n)), "priority"),
}
"""Arguments that take any whole number."""
GROWTHS = ("Restart(factor)", "Restart(jitter)")
POSITIVE = {
    "GcConstants(factor=)": lambda n: GcConstants(factor=n),
    **{f"Policy({name}=)": partial(lambda name, n: Policy(**{name: n}), name)
       for name in ("target_delay", "interval", "quantum")},
    "Tenant(weight=)": lambda n: Tenant("ann", weight=n),
}  # fmt: skip
"""Arguments that something is divided by, or done again after: none is 0, and none without end."""


@pytest.mark.parametrize("place", PLACES)
def test_a_place_or_an_amount_that_is_no_whole_number_is_refused(place):
    """1.5 was 1, as was true; what came of text was said in words of the compiler."""
    give, _, name = PLACES[place]
    for wrong in (1.5, "1", True, float("nan"), float("inf"), object()):
        with pytest.raises(TypeError, match=f"{name} must be a whole number"):
            give(wrong)


@pytest.mark.parametrize("place", PLACES)
def test_a_number_that_no_machine_has_is_outside_as_others_are(place):
    """In the same words, and however many digits: Python prints no number of more than 4300."""
    give, outside, _ = PLACES[place]
    for number in (-(1 << 62), 1 << 62, 1 << 70, -(1 << 70), 10**5000):
        if outside == -1:
            assert give(number) == -1
        else:
            with pytest.raises(outside) as caught:
                give(number)
            assert "C s" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("give", WHOLE.values(), ids=WHOLE)
def test_a_limit_of_any_size_is_one_or_is_refused_in_few_words(give):
    """Also one of more digits than Python prints."""
    for number in (1 << 70, 10**5000, -(10**5000)):
        try:
            give(number)
        except (ValueError, ResourceLimit, ArithmeticError) as error:
            assert "string conversion" not in str(error) and len(str(error)) < 300


@pytest.mark.parametrize("give", FREE)
def test_what_takes_any_whole_number_takes_no_other(give):
    """Large and small ones."""
    make, name = FREE[give]
    for number in (0, -5, 1 << 70, 10**5000):
        make(number)
    for wrong in (1.5, "1", True, object()):
        with pytest.raises(TypeError, match=f"{name} must be a whole number"):
            make(wrong)


def test_numbers_of_other_libraries_are_places():
    """Anything with ``__index__``."""

    class Index:
        def __index__(self):
            return 1

    kept, elements = memory(), table()
    kept[Index()] = Index()
    assert (kept[Index()], kept.read(Index(), Index()), kept.view("B", Index(), Index())[0]) == (1, b"\1", 1)
    assert (elements[Index()], kept.grow(Index()), elements.grow(Index())) == (None, 1, 2)
    assert Memory.new(Store(), Index(), Index()).grow(1) == -1


def test_a_maximum_is_one_that_the_minimum_and_the_format_allow():
    """A type that no module could have was made."""
    with pytest.raises(ValueError, match="maximum must be between 3 and 65536 pages, got 1"):
        Memory.new(Store(), 3, 1)
    with pytest.raises(ValueError, match="minimum must be between 0 and 65536 pages, got 65537"):
        Memory.new(Store(), 65537)
    with pytest.raises(ValueError, match="maximum must be between 3 and 4294967295 elements, got 1"):
        Table.new(Store(), "funcref", 3, 1)


def test_a_slice_whose_bounds_close_the_store_is_no_place():
    """It was read, and written to, as if the store were open."""

    class Closing:
        def __init__(self, store):
            self.store = store

        def __index__(self):
            self.store.close()
            return 0

    for use in (lambda m, i: m[i:4], lambda m, i: m.__setitem__(slice(i, 4), b"abc"), lambda m, i: m[i]):
        there = memory()
        with pytest.raises(stratavm.Closed):
            use(there, Closing(there.store))


CHOICES = {
    "Module.build(trusted=)": lambda it: Module.build("(module)", trusted=it),
    "Module.deserialize(trusted=)": lambda it: Module.deserialize(IMAGE, trusted=it),
    "Module.deserialize_file(trusted=)": lambda it: Module.deserialize_file(image_file(), trusted=it),
    "Module.serialize_file(executable=)": lambda it: Module.build("(module)").serialize_file(
        "/dev/null", executable=it
    ),
    "Store(thread_bound=)": lambda it: Store(thread_bound=it),
    "Global.new(mutable=)": lambda it: Global.new(Store(), "i32", 1, mutable=it),
    "run(isolate=)": lambda it: stratavm.run("(module)", isolate=it),
    "run(text=)": lambda it: stratavm.run("(module)", text=it),
    "run(check=)": lambda it: stratavm.run("(module)", check=it),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_is_true_or_false(choice):
    """``"no"`` counted as yes."""
    name = choice.partition("(")[2].removesuffix("=)")
    for wrong in ("no", 1, None):
        with pytest.raises(TypeError, match=f"{name} must be True or False, got {wrong!r}"):
            CHOICES[choice](wrong)


INSIDE = {
    *(
        "SharedMemory.may_grow",
        "Memory.extend",
        "Memory.may_grow",
        "Memory.where",
        "Memory.put",
        "Table.__init__",
        "Table.set",
        "Table.fits",
    ),
    *("Table.extend", "Table.may_grow", "Restart.delay_s", "Store.add_fuel", "Completed.__init__"),
    *("Store.extern_from_raw", "Pool.rest"),
    *("GcMetrics.__init__", "HeapDump.__init__", "HeapRow.__init__", "HeapType.__init__"),
    *("EngineMetrics.__init__", "PoolMetrics.__init__", "TenantMetrics.__init__", "Update.__init__"),
}
"""Not for users, made by the package itself (as errors about places in modules and metrics are), or in a test of its
own."""


def test_every_number_of_the_public_interface_is_tried_here():
    """Parameters of whole numbers and of times, as the snapshot lists them."""
    tried = "|".join((*WHOLE, *PLACES, *FREE, *GROWTHS, *POSITIVE, *SECONDS))
    missing = []
    for name, parameters in re.findall(r"^stratavm\.([\w.]+)\((.*)\) ->", PUBLIC.read_text(), re.MULTILINE):
        numbers = re.findall(r"(\w+): (?:int|float)\b(?! \| str)", parameters)
        short = name.removesuffix(".__init__")
        if name not in INSIDE and not short.endswith(("Error", "Unsupported", "ResourceLimit", "SlotsExhausted")):
            missing += [(short, n) for n in numbers if not re.search(rf"{short.split('.')[-1]}\({n}=?\)", tried)]
    assert missing == []


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


def test_what_says_nothing_of_its_type_is_a_number():
    """A property ``dtype`` may be there for anything, and raise anything: only complex numbers of NumPy are asked."""

    class Odd:
        @property
        def dtype(self):
            raise ZeroDivisionError

        def __float__(self):
            return 2.0

    text = '(module (func (export "f") (param f64) (result f64) (local.get 0)))'
    assert stratavm.load(text).exports.f(Odd()) == 2.0


def test_what_is_no_number_after_all_is_refused_by_what_is_expected():
    """As an array of NumPy, which has ``__index__`` and says only when it is asked that it is none."""

    class Odd:
        def __index__(self):
            raise TypeError("only integer scalar arrays can be converted to a scalar index")

    for type_ in ("eqref", "i31ref", "i32"):
        text = f'(module (func (export "f") (param {type_})))'
        name = {"i31ref": "i31"}.get(type_, type_)
        with pytest.raises(TypeError, match=rf"expected {name}, got Odd$"):
            stratavm.load(text).exports.f(Odd())


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


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_a_store_that_was_given_no_fuel_says_how_it_gets_some(tier):
    """Whoever counts fuel for the first time forgets that; one that has used its own up knows."""
    instance = stratavm.load('(module (func (export "f") (loop (br 0))))', fuel=True, tier=tier)
    with pytest.raises(stratavm.OutOfFuel, match=r"all fuel consumed: .* given none; .* store.fuel = N gives it some"):
        instance.exports.f()
    assert instance.store.fuel_used == 0
    instance.store.fuel = 100
    with pytest.raises(stratavm.OutOfFuel, match=r"^all fuel consumed\n"):
        instance.exports.f()
    assert instance.store.fuel_used + instance.store.fuel == 100
    instance.store.fuel = 0
    with pytest.raises(stratavm.OutOfFuel, match=r"^all fuel consumed\n"):
        instance.exports.f()


def test_fuel_is_added_and_taken_back_in_whole_units():
    """Half a unit was none."""
    store = Store(Engine(fuel=True), fuel=5)
    store.add_fuel(-2)
    with pytest.raises(TypeError, match=r"units must be a whole number, got 1.5"):
        store.add_fuel(1.5)
    with pytest.raises(ValueError, match="fuel must be between 0"):
        store.add_fuel(-4)
    assert store.fuel == 3


IMAGE = Module.build("(module)").serialize(key=b"a key of this test's own")


def image_file():
    """Where an image can be read."""
    file = os.memfd_create("image")
    os.write(file, IMAGE)
    return f"/proc/self/fd/{file}"


def updated():
    """An instance that was given another version."""
    instance = stratavm.load('(module (func (export "f") (result i32) i32.const 1))')
    instance.update('(module (func (export "f") (result i32) i32.const 2))')
    return instance


SECONDS = {
    "Store.gc_for_at_most(seconds=)": lambda n: Store().gc_for_at_most(n),
    "SharedMemory.wait(timeout=)": lambda n: shared().wait(0, 1, n),
    "Config(load_timeout=)": lambda n: Config(load_timeout=n),
    "Module(timeout=)": lambda n: Module("(module)", timeout=n),
    "compile_all(timeout=)": lambda n: Module("(module)").compile_all(timeout=n),
    "Module.load_async(timeout=)": lambda n: asyncio.run(Module.load_async("(module)", timeout=n)),
    "Module.build(timeout=)": lambda n: Module.build("(module)", timeout=n),
    "Module.deserialize(timeout=)": lambda n: Module.deserialize(IMAGE, timeout=n),
    "Module.deserialize_file(timeout=)": lambda n: Module.deserialize_file(image_file(), timeout=n),
    "Module.bare(timeout=)": lambda n: Module.bare("(module)", timeout=n),
    "Policy(timeout=)": lambda n: Policy(timeout=n),
    "Tenant(timeout=)": lambda n: Tenant("ann", timeout=n),
    "Pool.call(timeout=)": lambda n: pooled(timeout=n),
    "Pool.instance(timeout=)": lambda n: pooled(partial(entered, timeout=n)),
    "Pool.map(timeout=)": lambda n: mapped(timeout=n),
    "Pool.drain(timeout=)": lambda n: pooled(lambda pool: pool.drain(timeout=n)),
    "run(timeout=)": lambda n: stratavm.run(PROGRAM, timeout=n),
    "deadline(seconds=)": lambda n: Store().deadline(n).__enter__(),
    "set_deadline(seconds=)": lambda n: Store().set_deadline(n),
    "Instance.update(deadline=)": lambda n: stratavm.load("(module)").update("(module)", deadline=n),
    "Instance.update_async(deadline=)": lambda n: asyncio.run(
        stratavm.load("(module)").update_async("(module)", deadline=n)),
    "Instance.rollback(deadline=)": lambda n: updated().rollback(deadline=n),
    "Instance.rollback_async(deadline=)": lambda n: asyncio.run(updated().rollback_async(deadline=n)),
    "LiveInstance.update(deadline=)": lambda n: stratavm.LiveInstance("(module)").update("(module)", deadline=n),
    "LiveInstance.update_async(deadline=)": lambda n: asyncio.run(
        stratavm.LiveInstance("(module)").update_async("(module)", deadline=n)),
    "Recovering(deadline=)": lambda n: Recovering(None, deadline=n),
    "Restart(first_s=)": lambda n: Restart(first_s=n),
    "Restart(longest_s=)": lambda n: Restart(longest_s=n),
    **{f"Service({name}=)": partial(lambda name, n: Service("it", **{name: n}), name)
       for name in ("start_timeout_s", "stop_timeout_s", "health_timeout_s", "health_period_s")},
    "Container.start(timeout_s=)": lambda n: Services().build().start(n),
    "Container.astart(timeout_s=)": lambda n: asyncio.run(Services().build().astart(n)),
    "listen(block_timeout_s=)": lambda n: listened(block_timeout_s=n),
    "FakeClock.advance(seconds=)": lambda n: FakeClock().advance(n),
}  # fmt: skip


@pytest.mark.parametrize("give", SECONDS.values(), ids=SECONDS)
def test_a_time_that_is_no_number_is_refused(give, request):
    """By its name; also what counts as a number elsewhere."""
    name = request.node.callspec.id.partition("(")[2].removesuffix("=)")
    for wrong in ("1", True, object(), [1]):
        with pytest.raises(TypeError, match=f"{name} must be a number of seconds"):
            give(wrong)
    with pytest.raises(ValueError, match=f"{name} must be a number of seconds, got nan"):
        give(float("nan"))


@pytest.mark.parametrize("give", SECONDS.values(), ids=SECONDS)
def test_a_time_of_any_length_is_one(give):
    """What no clock reaches is as good as no limit, and what is negative has passed: one rule for all."""
    for number in (float("inf"), 1e308, 10**400, 10**5000, -1, -0.5, -(10**5000)):
        try:
            give(number)
        except (stratavm.DeadlineExceeded, Rejected):
            assert number < 0


@pytest.mark.parametrize("give", POSITIVE.values(), ids=POSITIVE)
def test_what_something_is_divided_by_is_a_number_within_bounds(give, request):
    """A quantum without end was no number of nanoseconds, when the pool was made."""
    name = request.node.callspec.id.partition("(")[2].removesuffix("=)")
    for wrong in ("1", True, None, object()):
        with pytest.raises(TypeError, match=f"{name} must be a number"):
            give(wrong)
    for wrong in (0, -1, float("nan"), float("inf"), 1e308, 10**400, 10**5000, -(10**5000)):
        with pytest.raises(ValueError, match=f"{name} must be "):
            give(wrong)


@pytest.mark.parametrize("growth", GROWTHS)
def test_how_delays_grow_is_a_number(growth):
    """Else the first failure of a service would be the end of its lifecycle."""
    name = growth[8:-1]
    for wrong, kind in (("2", TypeError), (True, TypeError), (float("nan"), ValueError), (-1, ValueError)):
        with pytest.raises(kind, match=f"Restart: {name} must be"):
            Restart(**{name: wrong})


def test_a_deadline_that_has_passed_ends_the_next_call():
    """As what is left of a time may be negative."""
    store = Store()
    f = stratavm.load('(module (func (export "f")))', store=store).exports.f
    with store.deadline(-1), pytest.raises(stratavm.DeadlineExceeded):
        f()
    assert stratavm.run(PROGRAM, timeout=-1).reason == "timeout"
    assert stratavm.run(PROGRAM, timeout=float("inf")).ok


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"fuel": 1000},
            r"fuel must be True or False, got 1000; the units are for Store\(fuel=…\), or for store.fuel of what load",
        ),
        ({"strict": "no"}, "strict must be True or False, got 'no'"),
        ({"limits": {"types": 5}}, "limits must be Limits, got"),
        ({"memory_slots": 5}, "memory_slots must be MemorySlots or None, got 5"),
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
    for options in ({"max_memory_bytes": 1 << 26}, {"memory_slots": MemorySlots(1, max_memory_bytes=1 << 26)}):
        with pytest.raises(ResourceLimit, match=r"max_memory_bytes=.*67174400") as caught:
            stratavm.load(MEMORY, **options)
        assert caught.value.needed == 1025 << 16
    engine = Engine(memory_slots=MemorySlots(1))
    with Store(engine) as store, Store(engine) as other:
        stratavm.load(MEMORY, store=store)
        with pytest.raises(stratavm.SlotsExhausted, match=r"all 1 slots .*MemorySlots\(memories=2\)"):
            stratavm.load(MEMORY, store=other)


def test_a_run_names_its_own_argument():
    """Not what it hands on."""
    done = stratavm.run('(module (memory (export "memory") 1025) (func (export "_start")))', max_memory=1 << 26)
    assert done.message == (
        "a memory of 1,025 pages (64.1 MiB) is over the limit of 64 MiB; max_memory must be at least 67174400"
    )
