"""Claims about objects that nobody initialised, and about what is pulled away in between: errors, never a crash."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading

import pytest

import stratavm
from stratavm import Closed, Engine, Func, Global, Linker, Memory, Module, Store, StoreBusy, StoreLimits, Table, load
from stratavm.runtime.func import FuncRef
from stratavm.spec.types import EXTERNREF, FUNCREF, I32
from tests.threads import hasty

POKE = """
import importlib, io, os, pkgutil, sys
import stratavm

BASETYPE, HEAPTYPE = 1 << 10, 1 << 9
ARGUMENTS = ((), (None,), (0,), (0, 0), (1, None), (None, None), ("x",), (None, None, None), (b"ab", 0, 1), ([],))
NEVER_RETURNS = {"Pending.wait"}

def compiled():
    for found in pkgutil.walk_packages(stratavm.__path__, "stratavm."):
        if found.name.startswith(("stratavm.base.", "stratavm.runtime.", "stratavm.engine.")):
            for thing in vars(importlib.import_module(found.name)).values():
                if isinstance(thing, type) and not thing.__flags__ & HEAPTYPE and thing.__module__ == found.name:
                    yield thing

def makers(cls):
    yield lambda: cls.__new__(cls)
    if cls.__flags__ & BASETYPE:
        yield type("Sub", (cls,), {"__init__": lambda self, *arguments: None})

def poke(make, name):
    # Any exception is a good answer to nonsense: what is looked for ends the process, and its parent says so.
    thing = make()
    try:
        value = getattr(thing, name)
    except Exception:
        return
    for arguments in ARGUMENTS if callable(value) else ():
        try: value(*arguments)
        except Exception: pass
    for use in (repr, bool, len, hash, iter, lambda x: setattr(x, name, 1)):
        try: use(thing)
        except Exception: pass

seen = 0
for cls in compiled():
    for make in makers(cls):
        try: make()
        except Exception: continue
        seen += 1
        names = [n for n in dir(cls) if n not in ("__class__", "__init_subclass__", "__subclasshook__", "__new__")]
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            sys.stderr = io.StringIO()
            for name in names:
                if f"{cls.__name__}.{name}" not in NEVER_RETURNS:
                    os.write(theirs, name.encode() + b" ")
                    poke(make, name)
            os._exit(0)
        os.close(theirs)
        last = os.fdopen(ours, "rb").read().split()[-1:]
        status = os.waitpid(child, 0)[1]
        if status:
            print("status", status, cls.__module__, cls.__name__, last)
print("seen", seen)
"""


def in_a_process(program):
    """What became of a program in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.trace_slow
def test_no_compiled_class_crashes_without_its_initialiser():
    """Each method and attribute of an object of each class, and of each class derived from it, with odd arguments."""
    done = in_a_process(POKE)
    *crashes, seen = done.stdout.splitlines() or [""]
    assert crashes == [] and done.returncode == 0, done.stderr
    assert int(seen.removeprefix("seen ")) > 20


class Lazy(Store):
    """A subclass that forgot something."""

    def __init__(self):
        pass


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.gc(),
        lambda s: s.charge_bytes(1),
        lambda s: s.limits,
        lambda s: s.runtime,
        lambda s: s.extern_to_raw(object()),
        lambda s: s.function_at(8),
        lambda s: Linker(Engine()).instantiate(s, Module("(module)", engine=Engine())),
    ],
)
def test_a_store_that_was_not_initialised_says_so(use):
    """What it cannot do says what is missing, or is refused as a thing of no engine."""
    with pytest.raises((Closed, stratavm.LinkError, AttributeError)):
        use(Lazy())


def test_what_needs_nothing_works_in_a_store_that_was_not_initialised():
    """Closing it, asking it; and it can still be initialised."""
    store = Lazy()
    assert not store.busy and not store.interrupt() and store.bytes_held == 0
    store.refund_bytes(1)
    assert "closed" in repr(store)
    Store.__init__(store)
    assert load('(module (func (export "f")))', store=store).exports.f() is None
    with pytest.raises(TypeError, match="once"):
        Store.__init__(store)
    other = Lazy()
    other.close()
    with pytest.raises(Closed, match=r"super\(\).__init__"):
        other.extern_to_raw(1)


# ---- what limiters, admit, and arguments may do in between ----

GUEST = """(module (memory (export "m") 0 10) (table (export "t") 0 10 funcref)
  (func (export "m_grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "t_grow") (result i32) (table.grow (ref.null func) (i32.const 1))))"""


def world(limiter, tier="jit0"):
    """A store with a limiter, and an instance."""
    store = Store(Engine(tier=tier), limits=StoreLimits(limiter=lambda *question: limiter(store, *question)))
    return store, load(GUEST, store=store).exports


@pytest.mark.parametrize("name", ["m", "t"])
def test_a_limiter_that_closes_the_store_under_python(name):
    """The growth finds a closed store and says so, also where there was nothing to grow from."""
    store, exports = world(lambda store, *_: store.close() or True)
    thing = exports[name]
    with pytest.raises(Closed):
        thing.grow(1)
    assert len(thing) == 0
    with pytest.raises(Closed):
        thing.grow(1)
    assert store.bytes_held < 1000  # what was given back twice would leave very many


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
@pytest.mark.parametrize("name", ["m_grow", "t_grow"])
def test_a_limiter_that_closes_the_store_under_a_guest(tier, name):
    """It is refused, as any close inside of a call; that comes out of the guest's call."""
    _, exports = world(lambda store, *_: store.close() or True, tier)
    with pytest.raises(StoreBusy):
        exports[name]()
    assert len(exports[name[0]]) == 0


@pytest.mark.parametrize("name", ["m", "t"])
def test_a_limiter_that_grows_the_same_thing(name):
    """What it did stays, and the growth it was asked for is refused."""
    grown = []

    def limiter(store, *_):
        if not grown:
            grown.append(None)
            grown.append(exports[name].grow(2))
        return True

    _, exports = world(limiter)
    assert exports[name].grow(1) == -1
    assert exports[name].type.limits.minimum == 2 and grown == [None, 0]
    assert exports[name].grow(1) == 2


def test_a_func_is_of_a_function_of_its_store():
    """In another store's context it would go on to run when its own is closed."""
    store, other = Store(), Store()
    native = load('(module (func (export "f")))', store=store).callee(0)
    for home, function in ((other, native), (None, native), (store, FuncRef()), (None, FuncRef())):
        with pytest.raises(TypeError, match="of a function of its store"):
            Func(home, function)
    assert Func(store, native)() is None


@pytest.mark.parametrize("kind", ["instances", "memories", "tables"])
def test_an_admit_that_closes_the_store(kind):
    """Whatever was being made is not made."""
    store = Store(Engine(), limits=StoreLimits(admit=lambda asked, _: asked != kind or store.close() or True))
    module = Module(GUEST, engine=store.engine)
    with pytest.raises(Closed):
        Linker(store.engine).instantiate(store, module)
    with pytest.raises(Closed):
        Memory.new(store, 1)


class Closes:
    """A number that closes a store when it is looked at."""

    def __init__(self, store, number):
        self.store, self.number = store, number

    def __index__(self):
        self.store.close()
        return self.number


class Lies(int):
    """A number that compares as it likes."""

    def __lt__(self, other):
        return False

    __le__ = __gt__ = __ge__ = __lt__


@pytest.mark.parametrize(
    "use",
    [
        lambda store, number: Memory.new(store, 1).grow(number),
        lambda store, number: Memory.new(store, 1)[number],
        lambda store, number: Memory.new(store, 1).extend(number),
        lambda store, number: Table.new(store, EXTERNREF, 1, 9).get(number),
        lambda store, number: Table.new(store, EXTERNREF, 1, 9).set(number, 0),
        lambda store, number: Table.new(store, EXTERNREF, 1, 9).set(0, number),
        lambda store, number: Table.new(store, EXTERNREF, 1, 9).extend(number),
        lambda store, number: Table.new(store, FUNCREF, 1, 9).extend(1, number),
        lambda store, number: setattr(Global.new(store, I32, 1, mutable=True), "value", number),
    ],
)
def test_a_number_that_closes_the_store(use):
    """It is converted before anything is looked at."""
    store = Store(Engine())
    with pytest.raises(Closed):
        use(store, Closes(store, 0))


def test_a_number_that_lies_reaches_nothing_outside():
    """Tables look at what it converts to."""
    table = Table.new(Store(Engine()), EXTERNREF, 1, 9)
    for use in (lambda: table.get(Lies(1 << 40)), lambda: table.set(Lies(1 << 40), 0)):
        with pytest.raises(stratavm.Trap, match="out of bounds"):
            use()
    assert table.extend(Lies(1 << 40)) == -1 == Memory.new(table.store, 1, 2).extend(Lies(1 << 20))


def test_exports_are_looked_up_while_another_thread_closes_the_store():
    """They are there, or the store is closed; nothing else happens."""
    text = """(module (import "e" "f" (func $f)) (memory (export "m") 1) (table (export "t") 1 funcref)
      (global (export "g") (mut i32) (i32.const 1)) (export "f" (func $f)) (func (export "h")))"""
    engine = Engine()
    module = Module(text, engine=engine)
    linker = Linker(engine)
    linker.define("e", "f", lambda: None)
    wrong = []

    def look(exports, barrier):
        barrier.wait(60)
        for name in ("f", "g", "h", "t", "m"):
            try:
                exports[name]
            except Closed:
                pass
            except Exception as error:  # what it is tells what went wrong
                wrong.append(error)

    with hasty():
        for _ in range(200):
            store = Store(engine)
            exports = linker.instantiate(store, module).exports
            barrier = threading.Barrier(2)
            thread = threading.Thread(target=look, args=(exports, barrier))
            thread.start()
            barrier.wait(60)
            store.close()
            thread.join(60)
    assert wrong == []


def test_the_index_spaces_of_a_closed_store_are_not_read():
    """Its lists are empty, whatever the numbers of the module say."""
    text = '(module (import "e" "f" (func $f)) (global (export "g") (mut i64) (i64.const 1)) (export "f" (func $f)))'
    for name in ("f", "g"):
        store = Store(Engine())
        instance = load(text, {"e": {"f": lambda: None}}, store=store)
        native = instance
        index = {"f": 0, "g": 0}[name]
        store.close()
        with pytest.raises(Closed):
            native.export("func" if name == "f" else "global", index)
        assert native.globals == []
    gc.collect()


COPY = """
import copy, importlib, os, pickle, pkgutil, sys
import stratavm

HEAPTYPE = 1 << 9
DATA = ("Event", "Items", "Functions", "Datas")
seen = 0
for found in pkgutil.walk_packages(stratavm.__path__, "stratavm."):
    if "__main__" in found.name or found.name == "stratavm.sandbox.python.driver":  # a guest's
        continue
    try: module = importlib.import_module(found.name)
    except ImportError as error:
        if isinstance(error.__cause__, ImportError) and found.name.startswith("stratavm.adapters."):
            continue  # the package that it is for is not there
        raise
    for name, cls in list(vars(module).items()):
        if not isinstance(cls, type) or cls.__flags__ & HEAPTYPE or cls.__module__ != found.name or name in DATA:
            continue
        seen += 1
        child = os.fork()
        if child == 0:
            try: thing = cls.__new__(cls)
            except Exception: os._exit(0)
            for use in (copy.copy, copy.deepcopy, pickle.dumps):
                try: use(thing)
                except TypeError: pass
                else: os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            print(found.name, name)
print("seen", seen)
"""


def test_objects_of_a_store_say_that_they_cannot_be_pickled():
    """Nor copied; not which of their fields the compiler has no rule for."""
    store = Store()
    parts = '(memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g") i32 (i32.const 1))'
    instance = load(f'(module {parts} (func (export "f")))', store=store)
    for thing in (store, instance, *instance.exports.values()):
        for use in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match=r"^an? .* cannot be pickled$"):
                use(thing)


@pytest.mark.trace_slow
def test_no_compiled_object_is_copied_or_pickled():
    """What it counts, or where it points, would be there twice; but for events and items of modules, which are data."""
    done = in_a_process(COPY)
    *copied, seen = done.stdout.splitlines() or [""]
    assert copied == [] and done.returncode == 0, done.stderr
    assert int(seen.removeprefix("seen ")) > 60
