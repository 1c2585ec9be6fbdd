"""The core is event-driven: every public operation that changes state emits an event, or is listed here with a reason.

The operations are enumerated by ``inspect``, and by the stubs of compiled classes, over everything that ``import
stratavm`` offers, so that a new one fails this test until it emits, or somebody writes down why it does not.
"""

import ast
import contextlib
import gc
import inspect
import random
import socket
import tempfile
from collections import ChainMap
from functools import partial
from pathlib import Path

import pytest

import stratavm
from stratavm.base.events import Bus, Event
from stratavm.engine.compose import services
from stratavm.runtime import events as runtime_events
from stratavm.runtime.allocator import MemoryAllocator
from stratavm.runtime.core import Runtime
from stratavm.services.recording import Recorder, read, replay
from stratavm.spec.types import EXTERNREF, FUNCREF, I32, FuncType
from stratavm.testing import EventRecorder, ModuleBuilder
from stratavm.tiers import events as tier_events
from stratavm.tiers.tier import Tier
from stratavm.wasi import MemoryTree
from tests.threads import past_deadline

GUEST = (
    ModuleBuilder()
    .imported("env", "hook", "->")
    .func("grow", "i32 -> i32", "local.get 0 memory.grow")
    .func("boom", "->", "unreachable")
    .func("spin", "->", "loop br 0 end")
    .func("call", "->", "call $hook")
    .func("add", "i32 i32 -> i32", "local.get 0 local.get 1 i32.add")
    .memory(1, 3)
    .table(2, 4, functions=("add",))
    .global_("level", "i32", 5)
    .build()
)
SPECIAL = ("__init__", "__call__", "__setitem__", "__delitem__", "__enter__", "__exit__", "__setattr__", "__delattr__")

# Operation → event classes that it emits. Driven below, one by one.
KEY = b"not the key of a user"
EMITS = {
    "Engine.__init__": {"EngineCreated"},
    "Engine.close": {"EngineClosed"},
    "Engine.__exit__": {"EngineClosed"},
    "Module.__init__": {"ModuleLoaded"},
    "Module.from_model": {"ModuleLoaded"},
    "Module.compile_all": {"ModuleCompiled", "FunctionCompiled"},
    "Module.bare": {"ModuleLoaded"},
    "Module.build": {"ModuleLoaded", "ModuleBuilt"},
    "Module.serialize": {"ModuleBuilt"},
    "Module.serialize_file": {"ModuleBuilt"},
    "Module.deserialize": {"ModuleLoaded", "BuiltCodeUsed"},
    "Module.deserialize_file": {"ModuleLoaded", "BuiltCodeUsed"},
    "Store.__init__": {"StoreCreated"},
    "Store.close": {"StoreClosed"},
    "Store.__exit__": {"StoreClosed"},
    "Store.deadline": {"DeadlineSet"},
    "Store.gc": {"HandlesCollected"},
    "Store.interrupt": {"InterruptRequested"},
    "Instance.close": {"InstanceClosed"},
    "Instance.__exit__": {"InstanceClosed"},
    "Linker.define": {"ImportDefined"},
    "Linker.define_instance": {"ImportDefined"},
    "Linker.define_namespaces": {"ImportDefined"},
    "Linker.instantiate": {"InstanceCreated", "MemoryCreated", "TableCreated"},
    "InstancePre.instantiate": {"InstanceCreated", "MemoryCreated", "TableCreated"},
    "Instance.snapshot": {"SnapshotTaken"},
    "Instance.update": {"InstanceUpdated"},
    "Instance.rollback": {"UpdateUndone"},
    "LiveInstance.__init__": {"StoreCreated", "ModuleLoaded", "InstanceCreated"},
    "LiveInstance.update": {"InstanceSwapped", "StoreCreated"},
    "LiveInstance.rollback": {"UpdateUndone", "StoreClosed"},
    "LiveInstance.forget": {"StoreClosed"},
    "LiveInstance.close": {"StoreClosed"},
    "LiveInstance.__exit__": {"StoreClosed"},
    "Snapshot.instantiate": {"InstanceCreated", "MemoryCreated", "TableCreated"},
    "Recovering.call": {"InstanceReplaced", "CallRetried", "StoreClosed"},
    "load": {"StoreCreated", "ModuleLoaded", "InstanceCreated"},
    "Func.from_callable": {"HostFunctionCreated"},
    "Func.__call__": {"FunctionCompiled"},
    "Func.call_raw": {"FunctionCompiled"},
    "Memory.new": {"MemoryCreated"},
    "Memory.grow": {"MemoryGrown"},
    "Memory.write": {"MemoryWritten"},
    "Memory.pack": {"MemoryWritten"},
    "Table.new": {"TableCreated"},
    "Table.grow": {"TableGrown"},
    "Table.__setitem__": {"TableElementSet"},
    "Global.new": {"GlobalCreated"},
    "Global.value": {"GlobalSet"},
    "Wasi.__init__": {"WorldOpened"},
    "Wasi.close": {"WorldClosed"},
    "Wasi.__exit__": {"WorldClosed"},
}
READS = "reads, changes nothing"
COVER = "a Python object for what exists already; its making is the event of its own operation"
# Operation → why it emits nothing.
EXEMPT = {
    "Caller.__init__": "an unbound handle for the linker, no state of the VM",
    "Caller.bind": "part of Linker.instantiate, which emits",
    "Completed.__init__": "a frozen value",
    "Completed.__setattr__": "frozen: raises",
    "Completed.__delattr__": "frozen: raises",
    "Completed.check": READS,
    "Update.__init__": "a frozen value",
    "Update.__setattr__": "frozen: raises",
    "Update.__delattr__": "frozen: raises",
    "Config.__init__": "a frozen value",
    "Config.__setattr__": "frozen: raises",
    "Config.__delattr__": "frozen: raises",
    "Config.having": "makes another frozen value",
    "EngineMetrics.__init__": "a frozen value",
    "EngineMetrics.__setattr__": "frozen: raises",
    "EngineMetrics.__delattr__": "frozen: raises",
    "Policy.__init__": "a frozen value",
    "Policy.__setattr__": "frozen: raises",
    "Policy.__delattr__": "frozen: raises",
    "PoolMetrics.__init__": "a frozen value",
    "PoolMetrics.__setattr__": "frozen: raises",
    "PoolMetrics.__delattr__": "frozen: raises",
    "Profile.__init__": "a frozen value",
    "Profile.__setattr__": "frozen: raises",
    "Profile.__delattr__": "frozen: raises",
    "Tenant.__init__": "a frozen value",
    "Tenant.__setattr__": "frozen: raises",
    "Tenant.__delattr__": "frozen: raises",
    "TenantMetrics.__init__": "a frozen value",
    "TenantMetrics.__setattr__": "frozen: raises",
    "TenantMetrics.__delattr__": "frozen: raises",
    "HostSpec.__init__": "a frozen value",
    "HostSpec.__setattr__": "frozen: raises",
    "HostSpec.__delattr__": "frozen: raises",
    "Tag.__init__": "what guests may throw; nothing of theirs changes",
    "Tag.new": "as Tag.__init__",
    "Tag.exception": "a value for Python to raise",
    "Tag.exception_of_raw": "as Tag.exception, for tiers",
    "GcConfig.__init__": "a frozen value",
    "GcConfig.__setattr__": "frozen: raises",
    "GcConfig.__delattr__": "frozen: raises",
    "GcConstants.__init__": "a frozen value",
    "GcConstants.__setattr__": "frozen: raises",
    "GcConstants.__delattr__": "frozen: raises",
    "GcMetrics.__init__": "a frozen value",
    "GcMetrics.__setattr__": "frozen: raises",
    "GcMetrics.__delattr__": "frozen: raises",
    "GuestField.__init__": "a frozen value",
    "GuestField.__setattr__": "frozen: raises",
    "GuestField.__delattr__": "frozen: raises",
    "GuestField.brief": READS,
    "GuestObject.__init__": "raises: guests make objects, and GuestType.new",
    "GuestObject.__setitem__": "a store of the guest's data, as of a memory",
    "GuestObject.count": READS,
    "GuestObject.get": READS,
    "GuestObject.index": READS,
    "GuestObject.is_instance": READS,
    "GuestObject.tobytes": READS,
    "GuestType.__init__": "raises: modules have types",
    "GuestType.is_subtype_of": READS,
    "GuestType.new": "objects come by the million; what the collector does is events (test_gc.py)",
    "GuestType.ref": READS,
    "HeapDump.__init__": "a frozen value",
    "HeapDump.__setattr__": "frozen: raises",
    "HeapDump.__delattr__": "frozen: raises",
    "HeapDump.as_dict": READS,
    "HeapRow.__init__": "a frozen value",
    "HeapRow.__setattr__": "frozen: raises",
    "HeapRow.__delattr__": "frozen: raises",
    "HeapType.__init__": "a frozen value",
    "HeapType.__setattr__": "frozen: raises",
    "HeapType.__delattr__": "frozen: raises",
    "Module.object_type": READS,
    "Store.heap_dump": "a collection, if it makes one, is events where the store has a heap (test_gc.py)",
    "Store.gc_for_at_most": "its pauses and decisions are events where the store has a heap (test_gc.py)",
    "Store.gc_journal": READS,
    "Store.gc_metrics": READS,
    "MemorySlots.__init__": "a frozen value",
    "MemorySlots.__setattr__": "frozen: raises",
    "MemorySlots.__delattr__": "frozen: raises",
    "StoreLimits.__init__": "a frozen value",
    "StoreLimits.__setattr__": "frozen: raises",
    "StoreLimits.__delattr__": "frozen: raises",
    "Engine.__enter__": "returns itself",
    "Engine.lifecycle": "makes an object whose start and stop emit every edge",
    "Engine.template_for": READS,
    "Func.__init__": COVER,
    "Global.__init__": COVER,
    "Instance.__enter__": "returns itself",
    "LiveInstance.__enter__": "returns itself",
    "LiveInstance.update_async": "as update, which emits, in a thread",
    "Func.call_async": "makes a coroutine; what is awaited of it emits as every call does",
    "Instance.initialize": "calls an export of the guest: its end emits as that of every call",
    "Instance.__init__": COVER,
    "InstancePre.__init__": "a frozen list of resolved names; its instantiate emits",
    "Snapshot.__init__": "raises: instances make them",
    "Wasi.freeze": READS,
    "Wasi.bind": "looks up what the calls of a store reach; WorldOpened says that there is a world",
    "Module.beginning": READS,
    "Module.run_first": "makes an instance, which emits, and keeps what that holds",
    "Snapshot.serialize": READS,
    "Snapshot.serialize_file": READS,
    "Snapshot.deserialize": "makes a frozen value; its instantiate emits",
    "Snapshot.deserialize_file": "makes a frozen value; its instantiate emits",
    "Snapshot.instantiate_pre": "a frozen list of resolved names; its instantiate emits",
    "InstancePre.start": "the inner half of instantiate, which emits",
    "InstancePre.assemble": "the inner half of instantiate_async, which emits",
    "Linker.instantiate_async": "as instantiate, which emits, in a thread",
    "Module.load_async": "loads in a thread, which emits as loading does",
    "Linker.instantiate_pre": "a frozen list of resolved names; the images that it lays out emit ImageLaidOut",
    "Module.images": "the first use lays images out, which emits ImageLaidOut",
    "Memory.__init__": COVER,
    "Table.__init__": COVER,
    "Store.fuel": "a number that host functions may change at every call; running out of it is reported as a trap",
    "Store.add_fuel": "the same number as Store.fuel",
    "Linker.check": "a question; instantiating tells of what does not link",
    "Store.charge_bytes": "a count; what the host takes is its own business to tell",
    "Store.refund_bytes": "a count, as Store.charge_bytes",
    "Engine.metrics": READS,
    "Module.profile": READS,
    "Pool.__init__": "holds nothing yet; its instances emit as all do",
    "Pool.call": "a call of an instance, both of which emit; what waits and what is refused is counted in Pool.metrics",
    "Pool.close": "ends calls and closes instances, which emit",
    "Pool.drain": "waits for calls, whose ends emit",
    "Pool.instance": "lends an instance, whose making and calls emit",
    "Pool.map": "calls of instances in threads, which emit",
    "Pool.metrics": READS,
    "Profile.check": READS,
    "Profile.load": "reads a file into a frozen value",
    "Profile.parse": "makes a frozen value of a text",
    "Profile.save": "writes a file of the embedder's, no state of the VM",
    "Recovering.__init__": "holds nothing yet; the first call makes an instance, which emits",
    "Recovering.__enter__": "returns itself",
    "Recovering.__exit__": "closes a store, which emits; nothing where there is none",
    "Recovering.close": "closes a store, which emits; nothing where there is none",
    "Restart.__init__": "a frozen value",
    "Restart.__setattr__": "frozen: raises",
    "Restart.__delattr__": "frozen: raises",
    "Restart.delay_s": READS,
    "Linker.__init__": "an empty table of names; each definition emits",
    "SharedMemory.__init__": "belongs to no store, whose events these are; each store that has it emits MemoryCreated",
    "SharedMemory.grow": "by no store; guests that grow it emit MemoryGrown",
    **dict.fromkeys(
        [
            f"SharedMemory.{name}"
            for name in (
                "add",
                "and_",
                "compare_exchange",
                "exchange",
                "or_",
                "pack",
                "store",
                "sub",
                "write",
                "xor",
                "__setitem__",
            )
        ],
        "other threads write to it at any time, which cannot be seen, as stores of guests",
    ),
    **dict.fromkeys([f"SharedMemory.{name}" for name in ("load", "read", "read_cstring", "unpack")], READS),
    "SharedMemory.wait": "waits, as instructions of guests do",
    "SharedMemory.notify": "wakes, as instructions of guests do",
    "SharedMemory.view": "raises, whatever it is given",
    "Memory.poll": "raises what is pending already; the call's end emits",
    "Memory.read": READS,
    "Memory.read_cstring": READS,
    "Memory.unpack": READS,
    "Memory.__setitem__": "an item or slice of the view: writes through views cannot be seen, as stores of guests",
    "Memory.view": "hands out the bytes themselves: writes through it cannot be seen, as stores of guests",
    "Module.blueprint": "works out what instances have in common; each of them emits",
    "Module.custom_sections": READS,
    "Module.export_index": READS,
    "Module.export_type": READS,
    "Store.__enter__": "returns itself",
    "Store.extern_from_raw": READS,
    "Store.extern_to_raw": "part of a call's boundary: a handle that a guest gets; collection emits",
    "Store.func_from_raw": READS,
    "Store.func_to_raw": READS,
    "run_async": "as run, in a thread",
    "run": "loads, links and calls in an engine, all of which emit; with isolate=True in another process",
    "to_thread": "the call that it makes emits, from the thread that makes it",
    "Wasi.__enter__": "returns itself",
    "Wasi.holds_written": READS,
    "Wasi.namespaces": READS,
}


def operations():
    """``Class.member`` of every public callable, settable property and special method; functions by their name."""
    found = set()
    for name in stratavm._EXPORTS:
        thing = getattr(stratavm, name)
        if not isinstance(thing, type):
            found.add(name)
        elif not issubclass(thing, BaseException):  # errors are values: raising one is the end of an operation
            found |= {f"{name}.{member}" for member in members(thing)}
    return found


def stub_of(cls):
    """The class as the stub of its compiled module has it, which says what of it is public; None without a stub."""
    folder = Path(stratavm.__file__).parent.parent
    path = (folder / cls.__module__.replace(".", "/")).with_suffix(".pyi")
    body = ast.parse(path.read_text()).body if path.exists() else []
    return next((item for item in body if isinstance(item, ast.ClassDef) and item.name == cls.__name__), None)


def members(cls):
    """Public methods, settable properties, and special methods that a class or a base of ours defines."""
    stub = stub_of(cls)
    if stub is not None:
        for item in stub.body:
            public = isinstance(item, ast.FunctionDef) and (not item.name.startswith("_") or item.name in SPECIAL)
            if public and "property" not in map(ast.unparse, item.decorator_list):
                yield item.name
        return
    ours = [vars(base) for base in cls.__mro__ if base.__module__.startswith("stratavm.")]
    for name, value in ChainMap(*ours).items():
        if name.startswith("_") and name not in SPECIAL:
            continue
        if isinstance(value, property) or inspect.isgetsetdescriptor(value):
            if isinstance(value, property) and value.fset is not None:
                yield name
        elif isinstance(value, (staticmethod, classmethod)) or inspect.isroutine(value):
            yield name


def test_every_public_operation_is_accounted_for():
    """Neither forgotten nor listed in vain, nor listed twice; every exemption has a reason."""
    found = operations()
    assert len(found) > 50
    assert found - EMITS.keys() - EXEMPT.keys() == set(), "these emit nothing, and nobody wrote down why"
    assert (EMITS.keys() | EXEMPT.keys()) - found == set(), "these are listed in vain"
    assert not EMITS.keys() & EXEMPT.keys()
    assert all(len(reason) > 10 for reason in EXEMPT.values())


class World:
    """An engine with an instance, and what it emitted since it was ready."""

    def __init__(self, tier="jit0"):
        self.engine = self.engine_of(tier)
        self.recorder = EventRecorder(self.engine.bus)
        self.module = stratavm.Module(GUEST, engine=self.engine)
        self.store = stratavm.Store(self.engine)
        self.linker = stratavm.Linker(self.engine)
        self.hook = lambda: None
        self.linker.define("env", "hook", self.call_hook)
        self.instance = self.linker.instantiate(self.store, self.module)
        self.exports = self.instance.exports
        self.recorder.clear()

    def engine_of(self, tier):
        """The engine."""
        return stratavm.Engine(tier=tier)

    def call_hook(self):
        """What the guest's import does: whatever a test puts in place."""
        self.hook()


def interrupt(world):
    """Interrupt a call that is running."""
    world.hook = world.store.interrupt
    with contextlib.suppress(stratavm.Interrupted):  # the call may end before its next poll
        world.exports.call()


def recover(engine):
    """A call that traps twice."""
    with contextlib.suppress(stratavm.Trap):
        make = partial(fresh, engine, '(module (func (export "f") unreachable))')
        stratavm.Recovering(make, restart=stratavm.Restart(first_s=0.0, attempts=1)).call("f")


def fresh(engine, text):
    """An instance in a store of its own."""
    return stratavm.load(text, store=stratavm.Store(engine))


def updated(engine):
    """An instance that was given another version."""
    instance = fresh(engine, '(module (func (export "f") (result i32) i32.const 1))')
    instance.update('(module (func (export "f") (result i32) i32.const 2))')
    return instance


def image():
    """The guest as an image."""
    return stratavm.Module.build(GUEST).serialize(key=KEY)


def deserialize_file(engine):
    """An image from a file that goes with it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(image())
        file.flush()
        stratavm.Module.deserialize_file(file.name, engine, key=KEY)


def swapped(engine):
    """A program that has been replaced once."""
    live = stratavm.LiveInstance("(module (memory 1))", engine=engine)
    live.update("(module (memory 2))", fresh=True)
    return live


def drive(world, operation):
    """Do it."""
    store, exports, engine = world.store, world.exports, world.engine
    I = FuncType((I32,), (I32,))  # noqa: E741
    same_bus = {Bus: engine.bus}
    drivers = {
        "Engine.close": engine.close,
        "Engine.__exit__": lambda: engine.__exit__(None, None, None),
        "Engine.__init__": lambda: stratavm.Engine(services=same_bus),
        "Module.__init__": lambda: stratavm.Module(GUEST, engine=engine),
        "Module.from_model": lambda: stratavm.Module.from_model(world.module.model, engine),
        "Module.compile_all": world.module.compile_all,
        "Module.bare": lambda: stratavm.Module.bare(GUEST, engine),
        "Module.build": lambda: stratavm.Module.build(GUEST, engine),
        "Module.serialize": lambda: world.module.serialize(key=KEY),
        "Module.serialize_file": lambda: world.module.serialize_file("/dev/null", key=KEY),
        "Module.deserialize": lambda: stratavm.Module.deserialize(image(), engine, key=KEY),
        "Module.deserialize_file": lambda: deserialize_file(engine),
        "Store.__init__": lambda: stratavm.Store(engine),
        "Store.close": store.close,
        "Store.__exit__": lambda: store.__exit__(None, None, None),
        "Store.deadline": lambda: store.deadline(5).__enter__(),
        "Store.gc": store.gc,
        "Store.interrupt": lambda: interrupt(world),
        "Instance.close": world.instance.close,
        "Instance.__exit__": lambda: world.instance.__exit__(None, None, None),
        "Linker.define": lambda: world.linker.define("a", "b", print),
        "Linker.define_instance": lambda: world.linker.define_instance("a", world.instance),
        "Linker.define_namespaces": lambda: world.linker.define_namespaces({"a": {"b": print}}),
        "Linker.instantiate": lambda: world.linker.instantiate(store, world.module),
        "InstancePre.instantiate": lambda: world.linker.instantiate_pre(world.module).instantiate(store),
        "Instance.update": lambda: updated(engine),
        "Instance.rollback": lambda: updated(engine).rollback(),
        "LiveInstance.__init__": lambda: swapped(engine),
        "LiveInstance.update": lambda: swapped(engine),
        "LiveInstance.rollback": lambda: swapped(engine).rollback(),
        "LiveInstance.forget": lambda: swapped(engine).forget(),
        "LiveInstance.close": lambda: swapped(engine).close(),
        "LiveInstance.__exit__": lambda: swapped(engine).__exit__(None, None, None),
        "Instance.snapshot": lambda: world.linker.instantiate(store, world.module).snapshot(),
        "Snapshot.instantiate": lambda: world.instance.snapshot().instantiate(store, world.linker),
        "Func.from_callable": lambda: stratavm.Func.from_callable(store, I, lambda x: x),
        "Func.__call__": lambda: exports.add(1, 2),
        "Func.call_raw": lambda: exports.add.call_raw([1, 2]),
        "Memory.new": lambda: stratavm.Memory.new(store, 1),
        "Memory.grow": lambda: exports.memory.grow(1),
        "Memory.write": lambda: exports.memory.write(0, b"x"),
        "Memory.pack": lambda: exports.memory.pack("<I", 0, 1),
        "Table.new": lambda: stratavm.Table.new(store, FUNCREF, 1),
        "Table.grow": lambda: exports.table.grow(1),
        "Table.__setitem__": lambda: exports.table.__setitem__(0, None),
        "Global.new": lambda: stratavm.Global.new(store, I32, 1, mutable=True),
        "Global.value": lambda: setattr(exports.level, "value", 9),
        "Wasi.__init__": lambda: stratavm.Wasi(engine=engine),
        "Wasi.close": lambda: stratavm.Wasi(engine=engine).close(),
        "Wasi.__exit__": lambda: stratavm.Wasi(engine=engine).__exit__(None, None, None),
        "Recovering.call": lambda: recover(engine),
        "load": lambda: stratavm.load(GUEST, {"env": {"hook": print}}, store=stratavm.Store(engine)),
    }
    drivers[operation]()


@pytest.mark.parametrize("operation", sorted(EMITS))
def test_the_operation_emits(operation):
    """What the list says, on the engine's bus."""
    world = World()
    drive(world, operation)
    assert EMITS[operation] <= set(world.recorder.names), world.recorder.events


class PooledWorld(World):
    """One whose engine has a pool with two slots; its own instance has one of them."""

    def engine_of(self, tier):
        """An engine with a pool."""
        return stratavm.Engine(tier=tier, memory_slots=stratavm.MemorySlots(2))


def exhaust(world):
    """Make more memories than there are slots."""
    with contextlib.suppress(stratavm.SlotsExhausted):
        for _ in range(2):
            world.linker.instantiate(world.store, world.module)


# Operation with a pool → what it emits besides; ``SlotRetired`` needs a process without mappings: see test_slots.
POOLED = {
    "InstancePre.instantiate": {"SlotTaken"},
    "Linker.instantiate": {"SlotTaken"},
    "Memory.new": {"SlotTaken"},
    "Recovering.call": {"SlotTaken", "SlotReturned"},
    "Store.close": {"SlotReturned"},
    "Store.__exit__": {"SlotReturned"},
}


@pytest.mark.parametrize("operation", sorted(POOLED))
def test_the_operation_on_an_engine_with_a_pool_emits_more(operation):
    """Slots that change hands; everything else as without a pool."""
    world = PooledWorld()
    memory = '(module (memory 1) (func (export "f") unreachable))'
    if operation == "Recovering.call":
        make = partial(fresh, world.engine, memory)
        with contextlib.suppress(stratavm.Trap):
            stratavm.Recovering(make, restart=stratavm.Restart(first_s=0.0, attempts=1)).call("f")
    else:
        drive(world, operation)
    world.engine.bus.drain()
    assert EMITS[operation] | POOLED[operation] <= set(world.recorder.names), world.recorder.events


def test_every_event_of_a_pool_is_accounted_for():
    """Those above, exhaustion, and retirement, which has a test of its own."""
    world = PooledWorld()
    exhaust(world)
    assert "SlotsRanOut" in world.recorder.names
    ours = {
        c.__name__
        for c in vars(runtime_events).values()
        if isinstance(c, type) and "slot" in getattr(c, "__match_args__", ())
    }
    assert ours == set().union(*POOLED.values()) - {"SlotsRanOut"} | {"SlotRetired"}


# ---- what happens inside guests, and how calls end ----


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_what_a_guest_does_is_heard_when_its_call_has_ended(tier):
    """Growth and its refusal, in order, before the caller goes on."""
    world = World(tier)
    assert (world.exports.grow(1), world.exports.grow(9)) == (1, -1)
    grown = [e for e in world.recorder.events if type(e).__name__.startswith("Memory")]
    assert grown == [runtime_events.MemoryGrown(0, 1, 2), runtime_events.MemoryGrowthRefused(0, 2, 9)]
    assert all(e.source == "store-1" for e in grown)


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_a_trap_is_an_event_once(tier):
    """Also when it passes through a host function and another guest call."""
    world = World(tier)
    world.hook = world.exports.boom
    with pytest.raises(stratavm.Trap):
        world.exports.call()
    (trapped,) = [e for e in world.recorder.events if type(e).__name__ == "Trapped"]
    assert (trapped.function, trapped.kind) == ("boom", "unreachable")


def test_other_ends_of_calls_are_events():
    """A host exception, an exit, a limit, a deadline with its poisoned instance."""
    world = World()

    def fail(error):
        def hook():
            raise error

        world.hook = hook
        with pytest.raises(type(error)):
            world.exports.call()

    fail(ValueError("no"))
    fail(stratavm.ExitError(3))
    fail(stratavm.ResourceLimit("full", limit="things"))
    said = [n for n in world.recorder.names if n != "FunctionCompiled"]
    assert said == ["CallFailed", "GuestExited", "LimitReached"]

    def spin():
        world.recorder.clear()
        world.exports.spin()

    past_deadline(world.store, spin, lambda: "InstancePoisoned" in world.recorder.names)
    names = [n for n in world.recorder.names if n not in ("FunctionCompiled", "DeadlineSet")]
    assert names == ["InstancePoisoned", "Trapped"]
    with pytest.raises(stratavm.ResourceLimit):
        stratavm.Memory.new(stratavm.Store(world.engine, limits=stratavm.StoreLimits(memories=0)), 1)
    assert world.recorder.events[-1].limit == "memories"


def test_refused_modules_and_failed_instantiations_are_events():
    """With the error's words."""
    world = World()
    with pytest.raises(stratavm.DecodeError):
        stratavm.Module(b"\0asm\2\0\0\0", engine=world.engine)
    with pytest.raises(stratavm.LinkError):
        stratavm.Linker(world.engine).instantiate(world.store, world.module)
    assert world.recorder.names == ["ModuleRefused", "InstantiationFailed", "CallFailed"]


KINDS = [
    c
    for module in (runtime_events, tier_events)
    for c in vars(module).values()
    if isinstance(c, type) and issubclass(c, Event) and c is not Event and c.__module__ == module.__name__
]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_who_registers_first_does_not_matter(tier, seed):
    """Whatever kinds a bus has already, and in whatever order services are made, each event comes under its name."""
    chance = random.Random(seed)
    bus = Bus()
    recorder = EventRecorder(bus)
    for cls in chance.sample(KINDS, chance.randrange(len(KINDS) + 1)):
        bus.kind(cls)
    box = services(stratavm.Config(tier=tier)).replace(Bus, lambda: bus).build()
    keys = [Runtime, Tier, MemoryAllocator, Bus]
    made = {key: box.get(key) for key in chance.sample(keys, len(keys))}
    engine = stratavm.Engine(tier=tier, services=made)
    store = stratavm.Store(engine)
    linker = stratavm.Linker(engine)
    linker.define("env", "hook", lambda: None)
    instance = linker.instantiate(store, stratavm.Module(GUEST, engine=engine))
    assert instance.exports.grow(1) == 1
    stratavm.Table.new(store, FUNCREF, 1, 2).grow(1)
    instance.close()
    store.close()
    bus.drain()
    expected = {"MemoryCreated", "TableCreated", "MemoryGrown", "TableGrown", "InstanceClosed", "StoreClosed"}
    assert expected | ({"FunctionCompiled"} if tier == "jit0" else set()) <= set(recorder.names)
    assert recorder.of(runtime_events.MemoryGrown) == [runtime_events.MemoryGrown(0, 1, 2)]


def test_a_store_that_is_forgotten_is_closed_too():
    """Deallocation only records; the event is delivered at the next boundary."""
    engine = stratavm.Engine()
    with EventRecorder(engine.bus, runtime_events.StoreClosed) as recorder:
        stratavm.Store(engine)
        gc.collect()
        assert recorder.events == []
        stratavm.Store(engine).close()
    assert [e.source for e in recorder.events] == ["store-1", "store-2"]


# ---- listeners that misbehave ----


def test_a_listener_may_close_the_store_that_it_hears_from():
    """At a boundary the store is idle; inside a host call the attempt is refused, and reported."""
    world = World()
    world.engine.bus.subscribe(runtime_events.MemoryGrown, lambda e: world.store.close())
    assert world.exports.grow(1) == 1
    with pytest.raises(stratavm.Closed):
        world.exports.add(1, 2)

    world = World()
    world.engine.bus.subscribe(runtime_events.MemoryGrown, lambda e: world.store.close())
    world.hook = lambda: world.exports.memory.grow(1)
    world.exports.call()
    assert "StoreBusy" in world.recorder.of(stratavm.base.events.ListenerFailed)[0].error
    assert world.exports.add(1, 2) == 3


def test_a_listener_may_call_the_guest_again():
    """Its events are queued behind."""
    world = World()
    sums = []
    world.engine.bus.subscribe(
        runtime_events.MemoryGrown, lambda e: sums.append((world.exports.add(e.after, 1), world.exports.grow(9)))
    )
    world.exports.grow(1)
    assert sums == [(3, -1)]
    assert world.recorder.names[-1] == "MemoryGrowthRefused"


def test_an_interrupt_raised_by_a_listener_comes_out_of_the_call():
    """After the guest has returned, and after every listener was called."""
    world = World()

    def stop(event):
        raise KeyboardInterrupt

    with world.engine.bus.subscribe(runtime_events.MemoryGrown, stop), pytest.raises(KeyboardInterrupt):
        world.exports.grow(1)
    assert world.recorder.one(runtime_events.MemoryGrown) and world.exports.grow(0) == 2


def test_a_listener_that_fails_is_logged():
    """By the engine's logger; the call is not disturbed."""
    from stratavm.engine.ports import Logger
    from stratavm.testing import ListLogger

    logger = ListLogger()
    engine = stratavm.Engine(services={Logger: logger})
    engine.bus.subscribe(Event, lambda e: 1 // 0, where=lambda e: type(e).__name__ == "ModuleLoaded")
    stratavm.Module(GUEST, engine=engine)
    assert logger.messages and "ZeroDivisionError" in logger.messages[0]


# ---- record and replay ----


def scenario(world):
    """A run with something of everything."""
    world.exports.grow(1)
    world.exports.grow(7)
    with pytest.raises(stratavm.Trap):
        world.exports.boom()
    world.exports.memory.write(3, b"abc")
    world.exports.table.grow(1)
    stratavm.Table.new(world.store, EXTERNREF, 1)
    with stratavm.Wasi(preopens=[(MemoryTree(), "/")], engine=world.engine):
        pass
    world.store.close()


def stream(events):
    """Events without what differs between runs: compile times."""
    return [(e.source, e.sequence, type(e).__name__, e if not hasattr(e, "ns") else e.function) for e in events]


def test_a_recorded_run_replays_to_the_same_stream(tmp_path):
    """And two runs of one program emit the same stream."""
    streams = []
    for name in ("a", "b"):
        world = World()
        with Recorder(world.engine.bus, tmp_path / name):
            scenario(world)
        streams.append(stream(world.recorder.events))
    assert streams[0] == streams[1] == stream(read(tmp_path / "a")) and len(streams[0]) > 10
    bus = Bus()
    again = EventRecorder(bus)
    replay(tmp_path / "a", bus)
    assert stream(again.events) == streams[0]


# ---- composition ----


def test_one_registration_replaces_one_service():
    """Clock, random bytes, file system, sockets, logger, limiter, compile executor, bus."""
    from stratavm.engine.ports import Clock, GrowthLimiter, Logger, RandomSource
    from stratavm.testing import (
        FakeClock,
        InlineExecutor,
        ListLogger,
        MemoryFileSystem,
        NoSockets,
        RefusingLimiter,
        SeededRandom,
    )  # fmt: skip
    from stratavm.tiers.tier import CompileExecutor
    from stratavm.wasi import FileSystem, Sockets

    clock, executor, limiter, files = (
        FakeClock(),
        InlineExecutor(),
        RefusingLimiter(),
        MemoryFileSystem({"/x": MemoryTree()}),
    )
    engine = stratavm.Engine(
        threads=2,
        services={
            Clock: clock, RandomSource: SeededRandom(1), FileSystem: files, Sockets: NoSockets(), Logger: ListLogger(),
            GrowthLimiter: limiter, CompileExecutor: executor,
        },
    )  # fmt: skip
    many = ModuleBuilder().memory(1)
    for i in range(200):
        many.func(f"f{i}", "-> i32", f"i32.const {i}")
    module = stratavm.Module(many.build(), engine=engine)
    assert module.compile_all().functions == 200 and executor.runs == 1
    instance = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module)
    assert instance.exports.memory.grow(1) == -1 and limiter.asked == [("memory", 65536, 131072)]
    with stratavm.Wasi(preopens=[("/x", "/")], engine=engine) as wasi:
        context = wasi._context
        assert files.opened == ["/x"] and context.clock is clock
        assert context.random_bytes(4) == SeededRandom(1).random_bytes(4)
    mine, theirs = socket.socketpair()
    with mine, theirs, pytest.raises(PermissionError):
        stratavm.Wasi(sockets=[mine], engine=engine)
    clock.advance(2)
    assert clock.monotonic_ns() == 2_000_000_000


def test_the_services_of_an_engine_have_a_life_cycle():
    """Those that can be started are, in the order of their needs; each edge is an event on the engine's bus."""
    import asyncio

    from stratavm.engine.ports import Logger
    from stratavm.services.lifecycle import LifecycleEvent
    from stratavm.testing import ListLogger

    class Pool:
        """A service of an embedder."""

        async def start(self):
            log.append("start pool")

        async def stop(self):
            log.append("stop pool")

    class Remote(ListLogger):
        """A logger that must be started: the bus is made from it."""

        async def start(self):
            log.append("start logger")

        async def stop(self):
            log.append("stop logger")

    async def main():
        with stratavm.Engine(services={Logger: Remote(), Pool: Pool()}) as engine:
            recorder = EventRecorder(engine.bus, LifecycleEvent)
            async with engine.lifecycle():
                log.append("running")
            return {e.service for e in recorder.events}, recorder.names

    log = []
    services, names = asyncio.run(main())
    assert sorted(log[:2]) == ["start logger", "start pool"] and log[2] == "running" and len(log) == 5
    assert services == {"Logger", "Pool"} and names.count("ServiceStopped") == 2


def test_the_graph_of_an_engine_is_printed():
    """Who is wired to whom."""
    graph = stratavm.Engine().services.graph()
    assert "Tier: singleton, by make_auto" in graph and "  bus ← Bus" in graph
