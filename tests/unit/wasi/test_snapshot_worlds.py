"""Snapshots of instances with worlds: what the guest has seen goes with them, what no other world can have is refused,
and worlds that know nothing yet go on where the first one was."""

import pytest

import stratavm
from stratavm.base.errors import DecodeError, LinkError, SnapshotRefused
from stratavm.engine import keptsnapshot
from stratavm.spec.types import I32, FuncType
from stratavm.wasi import FixedClock, MemoryTree, Wasi, frozen, namespaces_by_store

APP = """(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "a")
  (func (export "args") (result i32) (drop (call $args (i32.const 64) (i32.const 68))) (i32.load (i32.const 64)))
  (func (export "prestat") (result i32) (call $prestat (i32.const 3) (i32.const 64)))
  (func (export "time") (result i64)
    (drop (call $time (i32.const 1) (i64.const 0) (i32.const 64))) (i64.load (i32.const 64)))
  (func (export "open") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
  (func (export "close") (param i32) (result i32) (call $close (local.get 0))))"""


def tree():
    """A directory with a file."""
    return MemoryTree({"a": b"1"})


def a_world(**more):
    """A world with a directory."""
    return Wasi(**{"args": ["app", "x"], "preopens": {tree(): "/"}, **more})


class Way:
    """How the functions of worlds get to instances: each world's own, or those of the store's."""

    def __init__(self, by_store):
        self.module = stratavm.Module(APP)
        self.by_store = by_store
        self.worlds = []

    def linked(self, store, world):
        """A linker for an instance in a store; the world lives on."""
        linker = stratavm.Linker(self.module.engine)
        self.worlds.append(world)
        if self.by_store:
            world.bind(store)
        linker.define_namespaces(namespaces_by_store() if self.by_store else world.namespaces())
        return linker

    def made(self, world):
        """An instance."""
        store = stratavm.Store(self.module.engine)
        return self.linked(store, world).instantiate(store, self.module)

    def cloned(self, snapshot, world):
        """An instance that begins with a snapshot."""
        store = stratavm.Store(self.module.engine)
        return snapshot.instantiate(store, self.linked(store, world))


@pytest.fixture(params=[False, True], ids=["own", "by store"])
def way(request):
    """Both ways; the worlds are closed in the end."""
    found = Way(request.param)
    yield found
    for world in found.worlds:
        world.close()


def kept(snapshot):
    """The snapshot, by way of bytes."""
    key = b"sixteen bytes or more"
    return stratavm.Snapshot.deserialize(snapshot.serialize(key=key), snapshot.module, key=key)


@pytest.mark.parametrize("through", [lambda snapshot: snapshot, kept], ids=["living", "kept"])
def test_a_new_world_goes_on_where_the_first_one_was(way, through):
    """Arguments that were read, and the clock; what lies behind the directory may be something else."""
    first = way.made(a_world(clock=FixedClock(10**9, 1000)))
    assert (first.exports.args(), first.exports.prestat()) == (2, 0)
    last = first.exports.time()
    snapshot = through(first.snapshot())
    for _ in range(2):
        clone = way.cloned(snapshot, a_world(args=()))
        assert clone.exports.args() == 2 and last <= clone.exports.time() < last + 60 * 10**9
        assert clone.exports.open() == 0


def test_a_guest_that_has_asked_for_nothing_has_other_arguments(way):
    """They are those of its own world."""
    snapshot = way.made(a_world()).snapshot()
    assert way.cloned(snapshot, a_world(args=["1", "2", "3"])).exports.args() == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"args": ["another"]}, "has read its arguments before"),
        ({"preopens": {}}, "descriptor 3 as '/' (rw), and this world has nothing there"),
        ({"preopens": [(tree(), "/", "ro")]}, "descriptor 3 as '/' (rw), and this world has '/' (ro)"),
    ],
)
def test_a_world_that_the_guest_does_not_know_is_refused_by_name(way, more, said):
    """And nothing of it has changed: a guest of its own finds it as it was given."""
    first = way.made(a_world())
    first.exports.args()
    snapshot, world = first.snapshot(), a_world(**more)
    with pytest.raises(LinkError) as seen:
        way.cloned(snapshot, world)
    assert said in str(seen.value)
    assert Way(by_store=False).made(world).exports.args() == len(more.get("args", ["app", "x"]))


def test_what_is_open_is_refused_by_name(way):
    """The instance goes on; when it is closed there is a snapshot."""
    first = way.made(a_world())
    assert first.exports.open() == 0
    number = first.exports.memory[64]
    with pytest.raises(SnapshotRefused, match=r"an open file: descriptor 4 \('a'\); the guest must close it") as seen:
        first.snapshot()
    assert (seen.value.what, seen.value.where) == ("an open file", "descriptor 4 ('a')")
    assert first.exports.close(number) == 0
    assert way.cloned(first.snapshot(), a_world()).exports.open() == 0


def test_a_world_that_is_closed_has_no_snapshot(way):
    """What its guest has seen is gone."""
    world = a_world()
    first = way.made(world)
    world.close()
    with pytest.raises(stratavm.Closed, match="the world is closed"):
        first.snapshot()


def test_a_world_that_has_told_something_stays_as_it_is(way):
    """The first one itself, where clones share it; one that another guest has asked; one that resumes."""
    world = a_world()
    first = way.made(world)
    assert first.exports.args() == 2
    snapshot, state = first.snapshot(), world.freeze()
    with stratavm.Store(way.module.engine) as store:
        clone = snapshot.instantiate(store, Way(by_store=False).linked(store, world))
        assert clone.exports.args() == 2
    assert first.exports.open() == 0
    asked = a_world(args=["1", "2", "3"])
    assert Way(by_store=False).made(asked).exports.args() == 3
    assert way.cloned(snapshot, asked).exports.args() == 3
    resumed = a_world(args=(), resumes=state)
    assert resumed._context.has_gone_on and way.cloned(snapshot, resumed).exports.args() == 2


def test_clones_have_snapshots_of_what_they_have_seen(way):
    """More than the first one had."""
    first = way.made(a_world())
    clone = way.cloned(first.snapshot(), a_world())
    assert clone.exports.args() == 2
    again = way.cloned(kept(clone.snapshot()), a_world(args=()))
    assert again.exports.args() == 2


def of_two(one, two):
    """Functions of two worlds."""
    found = {name: dict(functions) for name, functions in one.namespaces().items()}
    found["wasi_snapshot_preview1"] |= two.namespaces(["fd_close"])["wasi_snapshot_preview1"]
    return found


def test_imports_of_as_many_worlds(way):
    """Functions of two worlds go on with two, those of none with nothing; else it is refused."""
    first = way.made(a_world())
    snapshot = first.snapshot()
    with stratavm.Store(way.module.engine) as store, a_world() as one, a_world() as two:
        with pytest.raises(LinkError, match="expected 1, found 2"):
            snapshot.instantiate(store, of_two(one, two))
        plain = {
            "wasi_snapshot_preview1": {
                "args_sizes_get": lambda a, b: 0, "fd_prestat_get": lambda a, b: 8, "clock_time_get": lambda a, b, c: 0,
                "path_open": lambda a, b, c, d, e, f, g, h, i: 8, "fd_close": lambda a: 8,
            }
        }  # fmt: skip
        assert snapshot.instantiate(store, plain).exports.prestat() == 8
        linker = stratavm.Linker(way.module.engine)
        linker.define_namespaces(of_two(one, two))
        both = linker.instantiate(store, way.module).snapshot()
        with a_world() as three, a_world() as four:
            assert both.instantiate(store, of_two(three, four)).exports.open() == 0
            assert three._context.has_gone_on and four._context.has_gone_on


def test_a_store_is_nobodys_while_worlds_are_asked(monkeypatch):
    """Else a guest could open a file between its memory and its world."""
    first = Way(by_store=False).made(a_world())
    freeze, seen = frozen.freeze, []

    def asked(ctx):
        with pytest.raises(stratavm.StoreBusy):
            first.exports.args()
        seen.append(ctx)
        return freeze(ctx)

    monkeypatch.setattr(frozen, "freeze", asked)
    first.snapshot()
    assert len(seen) == 1 and first.exports.args() == 2


def test_a_damaged_state_of_a_world_is_refused(way, monkeypatch):
    """Where no mark says so: whoever made the bytes, the world does not take them."""
    first, packed = way.made(a_world()), keptsnapshot.sections_of

    def damaged(module, state):
        found = packed(module, state)
        assert b"app" in found["worlds"]
        return {**found, "worlds": found["worlds"].replace(b"app", b"\\u0")}

    monkeypatch.setattr(keptsnapshot, "sections_of", damaged)
    taken = stratavm.Snapshot.deserialize(first.snapshot().serialize(), way.module, trusted=True)
    with pytest.raises(DecodeError, match="no frozen world"):
        way.cloned(taken, a_world())

    def cut(module, state):
        return {**packed(module, state), "worlds": packed(module, state)["worlds"][:-1]}

    monkeypatch.setattr(keptsnapshot, "sections_of", cut)
    data = first.snapshot().serialize()
    with pytest.raises(DecodeError, match="cut off"):
        stratavm.Snapshot.deserialize(data, way.module, trusted=True)


def test_a_world_of_ones_own_is_asked_as_well():
    """Host functions say whose they are: ``HostSpec.world``."""
    told = []

    class Counter:
        def freeze(self):
            return self

        def serialize(self):
            return b"seven"

        def go_on(self, state):
            told.append(state)

    module = stratavm.Module('(module (import "env" "f" (func (param i32))) (memory (export "memory") 1))')
    type_ = FuncType((I32,), ())
    first, other = Counter(), Counter()

    def imports(world):
        return {"env": {"f": stratavm.HostSpec(type_, lambda memory, x: None, world)}}

    linker = stratavm.Linker(module.engine)
    linker.define_namespaces(imports(first))
    snapshot = linker.instantiate(stratavm.Store(module.engine), module).snapshot()
    for found in (snapshot, kept(snapshot)):
        found.instantiate(stratavm.Store(module.engine), imports(other))
    assert told == [first, b"seven"]
