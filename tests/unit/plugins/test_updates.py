"""Claims about updates of plugins: a patch or another instance with its state, and what fails changes nothing."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stratavm import Closed, DeadlineExceeded, InstancePoisoned, Interrupted, MigrationFailed, Trap, ValidationError
from stratavm.engine.update import Patience
from stratavm.plugins import (
    Capability,
    ErrorAnswer,
    Grant,
    HostFunction,
    PluginBusy,
    PluginLimits,
    PluginRefused,
    PluginUnavailable,
    State,
    Timeouts,
    key_values,
)
from stratavm.plugins.edges import EDGES
from stratavm.plugins.events import EdgeRefused, PluginFailed, PluginLoading, PluginRolledBack, PluginUpdated
from stratavm.plugins.ranges import precedence
from stratavm.plugins.updating import Attempt, Order
from stratavm.plugins.version import Version
from tests.unit.plugins.conftest import Host, until, until_async
from tests.unit.plugins.guests import COUNT, ECHO, HOST, TRAP, manifest, module

EXPORT = """(func (export "export-state") (result i64)
  (i32.store (i32.const 128) (global.get $count)) (call $pack (i32.const 128) (i32.const 4)))
  (func (export "state-version") (result i32) (i32.const 7))"""
MIGRATE = """(func (export "migrate") (param $version i32) (param $at i32) (param $n i32) (result i32)
  (if (i32.ne (local.get $version) (i32.const 7)) (then (return (i32.const 1))))
  (global.set $count (i32.load (local.get $at))) (i32.const 0))"""
MORE = '(global (export "more") i32 (i32.const 0))'
SPIN = "(loop (br 0))"
KINDS = {"count": "none -> text"}
GUEST = (COUNT, EXPORT, MIGRATE)
NEXT = (*GUEST, MORE)
"""Another version, which is no patch of ``GUEST``."""


def next_version(**more):
    """Its manifest."""
    return manifest(version="2.0.0", functions=KINDS, **more)


def counted(host, *body, **options):
    """A plugin that has counted to 2."""
    plugin = host.load(*(body or GUEST), count="none -> text", **options)
    assert [plugin.call("count") for _ in range(2)] == ["1", "2"]
    host.events.clear()
    return plugin


def test_a_swap_takes_the_state_over(host):
    """Into an instance of its own, with one event; back, the one of before is as it was, once."""
    assert host.plugins.engine.metrics().updates["swapped"] == 0
    plugin = counted(host)
    done = plugin.update_to(next_version(), module(*NEXT))
    assert (done.kind, done.applied, done.carried) == ("swap", True, 4)
    assert 0 < done.pause_seconds <= done.seconds
    updated = host.events.one(PluginUpdated)
    assert (updated.version, updated.kind, updated.carried) == ("2.0.0", "swap", 4)
    assert [plugin.call("count") for _ in range(2)] == ["3", "4"]
    assert plugin.metrics().owned["instance"] == 2
    plugin.rollback()
    assert host.events.one(PluginRolledBack).version == "1.0.0" == plugin.manifest.version
    assert plugin.call("count") == "3"
    assert plugin.metrics().owned["instance"] == 1
    with pytest.raises(PluginRefused, match="there is no update to undo"):
        plugin.rollback()
    assert plugin.metrics().updates == {"swap": 1}
    assert host.plugins.engine.metrics().updates["swapped"] == 1


def test_a_rollback_undoes_a_patch(host):
    """The instance stays, with its state; a version that is the same module is taken back, too."""
    plugin = counted(host)
    newer = COUNT.replace("(i32.const 48)", "(i32.const 64)")
    assert plugin.update_to(next_version(), module(newer, EXPORT, MIGRATE)).kind == "patch"
    assert plugin.call("count") == "C"
    plugin.rollback()
    assert (plugin.call("count"), plugin.manifest.version) == ("4", "1.0.0")
    assert plugin.update_to(next_version(), module(*GUEST)).kind == "none"
    plugin.rollback()
    assert (plugin.call("count"), plugin.manifest.version) == ("5", "1.0.0")


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ({}, {"start": "(func $s unreachable) (start $s)"}, Trap, "unreachable"),
        ({}, {"start": '(func (export "plugin_start") (param i32 i32) (result i64) unreachable)'}, Trap, "unreachable"),
        ({}, {"start": '(func (export "plugin_start") (param i32 i32) (result i64) (i64.const 0x80000000))'},
         ErrorAnswer, "^$"),
        ({"export": "unreachable"}, {}, Trap, "unreachable"),
        ({"export": "(i64.const 0x7fffffff00000004)"}, {}, MigrationFailed, "outside of its memory"),
        ({"export": "(call $pack (i32.const 0) (i32.const 65536))"}, {}, MigrationFailed, "has no room for 65536"),
        ({}, {"alloc": "unreachable"}, Trap, "unreachable"),
        ({}, {"alloc": "(return (i32.const -4))"}, MigrationFailed, "plugin_alloc says 0xfffffffc"),
        ({}, {"migrate": "unreachable"}, Trap, "unreachable"),
        ({}, {"migrate": "(return (i32.const 5))"}, MigrationFailed, "it said 5"),
        ({}, {"migrate": SPIN}, DeadlineExceeded, "deadline"),
    ],
)  # fmt: skip
def test_a_swap_that_fails_on_its_way_leaves_the_plugin_as_it_was(host, old, new, error, words):
    """At whichever step; nothing is left of the new version, and the next attempt succeeds."""
    export = f'(func (export "export-state") (result i64) {old["export"]})' if old else EXPORT
    plugin = counted(host, COUNT, export, MIGRATE)
    before = dict(plugin.metrics().owned)
    text = module(*NEXT, new.get("start", ""))
    if "alloc" in new:
        text = text.replace(b"(local.set $at (global.get $top))", new["alloc"].encode(), 1)
    if "migrate" in new:
        head = b"(param $version i32) (param $at i32) (param $n i32) (result i32)"
        assert head in text
        text = text.replace(head, head + new["migrate"].encode())
    host.events.clear()
    with pytest.raises(error, match=words):
        plugin.update_to(next_version(), text, deadline=0.3 if new.get("migrate") == SPIN else 60)
    assert [(type(e), e.edge) for e in host.events.events] == [(EdgeRefused, "update")]
    assert (plugin.state, plugin.manifest.version) == (State.ACTIVE, "1.0.0")
    assert dict(plugin.metrics().owned) == before and plugin.metrics().updates == {"refused": 1}
    assert plugin.call("count") == "3"
    with pytest.raises(PluginRefused, match="there is no update to undo"):
        plugin.rollback()
    plugin.update_to(next_version(), module(*NEXT), fresh=True)
    assert plugin.call("count") == "1"


def test_a_fault_behind_the_commit_takes_it_back(host):
    """Also a patch: what the edge had done is undone."""
    for body in (NEXT, (COUNT.replace("(i32.const 48)", "(i32.const 64)"), EXPORT, MIGRATE)):
        plugin = counted(host)
        life = plugin._life
        attempt = Attempt.of(life, life.package._replace(data=module(*body)), Order(), Patience("now", 60))

        def make(life, seconds, attempt):
            attempt.make(life, 0.0)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            life.take(EDGES["update"]._replace(action=make), attempt)
        assert plugin.call("count") == "3" and life.before is None
        plugin.unload()


def test_a_running_version_that_does_not_come_out_of_it_has_failed(hosts):
    """``export-state`` is a call of it, with the time of one."""
    host = hosts(grant=Grant(limits=PluginLimits(call_s=0.2)))
    plugin = host.load(COUNT, f'(func (export "export-state") (result i64) {SPIN} unreachable)', **KINDS)
    with pytest.raises(DeadlineExceeded):
        plugin.update_to(next_version(), module(*NEXT))
    assert plugin.state is State.FAILED
    assert host.events.one(PluginFailed).where == "update"


def test_a_dry_run_says_what_it_would_be(host):
    """And why it is no patch, and what stands against it; nobody is asked, and nothing has happened."""
    plugin = counted(host)
    asked = []
    host.plugins.engine.bus.subscribe(PluginLoading, asked.append)
    newer = COUNT.replace("(i32.const 48)", "(i32.const 64)")

    def look(said, *body, **options):
        found = plugin.update_to(said, module(*body), dry_run=True, **options)
        assert not found.applied
        return found.kind, found.reasons, found.obstacles

    assert look(next_version(), newer, EXPORT, MIGRATE) == ("patch", (), ())
    assert look(next_version(), *GUEST) == ("none", (), ())
    assert look(next_version(), *GUEST, how="swap") == ("swap", ("another instance was asked for",), ())
    kind, reasons, obstacles = look(next_version(), *NEXT)
    assert (kind, obstacles) == ("swap", ()) and "its globals are not the same" in reasons
    kind, reasons, obstacles = look(next_version(limits={"call_s": 1}), *GUEST)
    assert (kind, reasons, obstacles) == ("swap", ("it asks for other limits",), ())
    obstacles = look(manifest(version="0.1.0", functions=KINDS, capabilities=["fly"]), COUNT, MORE)[2]
    assert "; ".join(obstacles) == (
        "it asks for fly, which it is not granted; there is no capability fly; "
        "0.1.0 is older than 1.0.0, which runs: downgrade=True takes it all the same; "
        "the new version has no function migrate(i32, i32, i32) -> i32"
    )
    assert look(manifest("other", functions=KINDS), *GUEST)[2] == ("it has another name: other",)
    assert look(next_version(), ECHO)[2][0].startswith("it exports no count")
    assert asked == [] and host.said == [] and plugin.metrics().updates == {}
    assert plugin.call("count") == "3"


@pytest.mark.parametrize("swaps", [False, True])
def test_an_older_version_is_taken_where_that_is_asked_for(host, swaps):
    """It is refused with the reason; the same version is not older."""
    plugin = counted(host)
    older = manifest(version="1.0.0-rc.1", functions=KINDS)
    text = module(*(NEXT if swaps else GUEST))
    with pytest.raises(PluginRefused, match=r"1\.0\.0-rc\.1 is older than 1\.0\.0, which runs"):
        plugin.update_to(older, text)
    plugin.update_to(older, text, downgrade=True)
    assert (plugin.manifest.version, plugin.call("count")) == ("1.0.0-rc.1", "3")
    plugin.update_to(older, module(*GUEST))


def test_versions_are_ordered():
    """As semantic versions are."""
    said = "0.9.10 1.0.0-1 1.0.0-2 1.0.0-10 1.0.0-alpha 1.0.0-alpha.1 1.0.0-rc.1 1.0.0 1.0.1 1.10.0 10.0.0"
    ordered = said.split()
    assert sorted(set(ordered), key=precedence) == ordered
    assert len(set(map(str, map(precedence, ordered)))) == len(ordered)


def test_the_host_may_carry_the_state_itself(host):
    """With a function of both instances."""
    plugin = counted(host, COUNT + '(func (export "peek") (result i32) (global.get $count))')

    def migrate(old, new):
        new.exports.poke(old.exports.peek())

    text = module(COUNT + '(func (export "poke") (param i32) (global.set $count (local.get 0)))')
    with pytest.raises(ValueError, match="nothing for migrate to do"):
        plugin.update_to(next_version(), text, migrate=migrate, fresh=True)
    with pytest.raises(TypeError, match="migrate must be"):
        plugin.update_to(next_version(), text, migrate=3)
    with pytest.raises(ValueError, match="how must be auto or swap"):
        plugin.update_to(next_version(), text, how="patch")
    assert plugin.update_to(next_version(), text, migrate=migrate).kind == "swap"
    assert plugin.call("count") == "3"


def test_a_plugin_that_failed_goes_on_with_a_version_that_is_mended(host):
    """Without a state, and at once; quarantined ones and such that never loaded, too, by their own ways."""
    plugin = host.load(TRAP, trap="none -> none")
    with pytest.raises(Trap):
        plugin.call("trap")
    with pytest.raises(PluginUnavailable):
        plugin.call("trap")
    mended = manifest(version="1.0.1", functions={"count": "none -> text"})
    assert plugin.update_to(mended, module(COUNT), dry_run=True).reasons == ("it is failed, and has no instance",)
    assert plugin.update_to(mended, module(COUNT)).carried == 0
    assert plugin.call("count") == "1" and plugin._life.breaker.in_a_row == 0
    broken = host.add("(global i64 (i32.const 0))", name="broken")
    with pytest.raises(ValidationError):
        broken.load()
    broken.update_to(manifest("broken", functions=KINDS), module(COUNT))
    assert broken.call("count") == "1"
    plugin.quarantine("no reason")
    with pytest.raises(PluginRefused, match="update: it is quarantined"):
        plugin.update_to(mended, module(COUNT))


def test_a_new_version_that_fails_is_rolled_back(host):
    """To the instance of before, with its state, without a delay; after a patch to its code, with a new instance."""
    trap = (*NEXT, TRAP)
    kinds = KINDS | {"trap": "none -> none"}
    plugin = counted(host)
    plugin.update_to(manifest(version="2.0.0", functions=kinds), module(*trap))
    with pytest.raises(Trap):
        plugin.call("trap")
    assert plugin.state is State.FAILED
    plugin.rollback()
    assert (plugin.state, plugin.call("count")) == (State.ACTIVE, "3")
    plugin.update_to(manifest(version="2.0.0", functions=kinds), module(*trap))
    plugin.update_to(manifest(version="2.0.1", functions=kinds), module(*trap, MORE.replace('"more"', '"other"')))
    assert plugin.metrics().owned["instance"] == 2  # of three versions
    newer = COUNT.replace("(i32.const 48)", "(i32.const 64)")
    for restarts in (False, True):
        plugin = host.load(COUNT, TRAP, name=f"patched-{restarts}".lower(), **kinds)
        assert plugin.call("count") == "1"
        said = manifest(plugin.name, kinds, version="1.0.1")
        assert plugin.update_to(said, module(newer, TRAP)).kind == "patch"
        assert plugin.call("count") == "B"
        with pytest.raises(Trap):
            plugin.call("trap")
        host.now += 100
        if restarts:
            assert plugin.call("count") == "A"
        plugin.rollback()
        assert (plugin.state, plugin.manifest.version, plugin.call("count")) == (State.ACTIVE, "1.0.0", "1")
        assert plugin.metrics().owned["instance"] == 1
        with pytest.raises(Trap):
            plugin.call("trap")
        host.now += 100
        assert plugin.call("count") == "1"


def test_a_rollback_that_makes_an_instance_leaves_the_loop_alone(hosts):
    """It is made in a thread; cancelling ends it, and so does who ends the plugin."""
    host = hosts(timeouts=Timeouts(stop=60, activate=60))
    start = """(func (export "plugin_start") (param i32 i32) (result i64)
      (if (i64.ne (call $ask (i32.const 0) (i32.const 0)) (i64.const 0)) (then (loop (br 0)))) (i64.const 0))"""
    kinds = KINDS | {"trap": "none -> none"}
    host.ask = lambda text: ""
    plugin = host.load(COUNT, TRAP, start, imports=HOST, **kinds)
    said = manifest(functions=kinds, version="1.0.1", capabilities=["host"])
    newer = module(COUNT.replace("(i32.const 48)", "(i32.const 64)"), TRAP, start, imports=HOST)
    assert plugin.update_to(said, newer).kind == "patch"
    with pytest.raises(Trap):
        plugin.call("trap")
    begun = []

    def spin(text):
        begun.append(text)
        return "x"

    async def main():
        host.ask = spin
        task = asyncio.create_task(plugin.rollback_async())
        await until_async(lambda: begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert plugin.state is State.FAILED
        begun.clear()
        task = asyncio.create_task(plugin.rollback_async())
        await until_async(lambda: begun)
        await asyncio.to_thread(plugin.quarantine, "enough")
        with pytest.raises(Interrupted):
            await task

    asyncio.run(main())
    assert plugin.state is State.QUARANTINED and "store" not in plugin.metrics().owned


def test_what_could_not_be_closed_behind_an_update_is_told(hosts):
    """The version that nobody goes back to any more; the update is made all the same."""
    contexts = []

    def functions(context):
        contexts.append(context)
        return {}

    host = hosts(Capability("files", functions))
    plugin = granted(host, "files")
    contexts[0].own("file", "one", lambda: 1 // 0)
    host.events.clear()
    for number in (2, 3):
        more = MORE.replace("0)", f"{number})")
        assert plugin.update_to(next_version(capabilities=["files"]), module(*GUEST, more), how="swap").kind == "swap"
    refused = host.events.one(EdgeRefused)
    assert refused.edge == "retire" and "ZeroDivisionError" in refused.reason


def test_the_version_of_before_is_let_go_of(host):
    """By ``forget``, and by whatever ends the plugin."""
    for end in ("forget", "unload", "quarantine"):
        plugin = counted(host)
        plugin.update_to(next_version(), module(*NEXT))
        getattr(plugin, end)(*(["no reason"] if end == "quarantine" else []))
        assert plugin.metrics().owned.get("instance", 0) == (1 if end == "forget" else 0)
        with pytest.raises(PluginRefused):
            plugin.rollback()
        plugin.unload()
        assert plugin.metrics().owned == {}


def test_values_outlive_versions_and_attempts(hosts):
    """What capabilities keep for the plugin is that of all its versions."""
    host = hosts(key_values())
    imports = '(import "kv" "set" (func $set (param i32 i32) (result i64)))'
    body = ('(func (export "put") (param i32 i32) (result i64) (call $set (local.get 0) (local.get 1)))', *GUEST)
    kinds = KINDS | {"put": "json -> none"}
    said = manifest(functions=kinds, capabilities=["kv"])
    plugin = host.plugins.add(said, module(*body, imports=imports))
    plugin.load()
    plugin.call("put", ["a", "1"])
    stored = plugin.metrics().stored_bytes
    with pytest.raises(Trap):
        plugin.update_to(said, module(*body, MORE, "(func $s unreachable) (start $s)", imports=imports))
    plugin.call("put", ["a", "2"])
    plugin.update_to(said, module(*body, MORE, imports=imports))
    plugin.call("put", ["a", "3"])
    plugin.rollback()
    plugin.call("put", ["a", "4"])
    assert plugin.metrics().stored_bytes == stored > 0 and plugin.metrics().owned["values"] == 1


KEEPS = """(import "kv" "set" (func $set (param i32 i32) (result i64)))
  (import "kv" "delete" (func $delete (param i32 i32) (result i64)))
  (import "kv" "get" (func $get (param i32 i32) (result i64)))"""
WAYS = """(func (export "put") (param i32 i32) (result i64) (call $set (local.get 0) (local.get 1)))
  (func (export "get") (param i32 i32) (result i64) (call $get (local.get 0) (local.get 1)))"""
WRITES = """(data (i32.const 512) "[\\22old\\22,\\22new\\22][\\22more\\22,\\22new\\22]gone")
  (func $writes
    (drop (call $set (i32.const 512) (i32.const 13))) (drop (call $set (i32.const 525) (i32.const 14)))
    (drop (call $delete (i32.const 539) (i32.const 4)))
    (drop (call $set (i32.const 512) (i32.const 13))))"""


@pytest.mark.parametrize("where", ["start", "migrate", "behind", "time", "none"])
def test_what_a_version_wrote_that_is_none_is_taken_back(hosts, where):
    """At whichever step it fails; what the running one has written in ``export-state`` stays, and so does all that one
    has written that has begun."""
    host = hosts(key_values())
    kinds = KINDS | {"put": "json -> none", "get": "text -> bytes"}
    said = manifest(functions=kinds, capabilities=["kv"])
    export = EXPORT.replace("(result i64)", "(result i64) (call $writes)", 1)
    theirs = WRITES.replace("old", "own").replace("more", "mine").replace("gone", "away")
    plugin = host.plugins.add(said, module(COUNT, export, MIGRATE, WAYS, theirs, imports=KEEPS))
    plugin.load()
    for key, value in {"old": "1", "gone": "2", "own": "3"}.items():
        plugin.call("put", [key, value])
    traps = "unreachable" if where in ("start", "migrate") else ""
    start = f"(func $s (call $writes) {traps if where == 'start' else ''}) (start $s)"
    begun = MIGRATE.replace("(result i32)", f"(result i32) {traps if where == 'migrate' else ''}")
    newer = module(COUNT, export, begun, WAYS, WRITES, start, MORE, imports=KEEPS)
    life, plain = plugin._life, plugin.metrics()

    def fails(life, seconds, attempt):
        attempt.make(life, 0.0)
        raise KeyboardInterrupt

    if where == "none":
        assert plugin.update_to(said, newer).kind == "swap"
        assert [plugin.call("get", key) for key in ("old", "more", "own")] == [b"new", b"new", b"new"]
        with pytest.raises(ErrorAnswer, match="no value of gone"):
            plugin.call("get", "gone")
        plugin.rollback()
        assert plugin.call("get", "old") == b"new"
        return
    if where in ("start", "migrate"):
        with pytest.raises(Trap):
            plugin.update_to(said, newer)
    elif where == "behind":
        attempt = Attempt.of(life, life.package._replace(data=newer), Order(), Patience("now", 60))
        with pytest.raises(KeyboardInterrupt):
            life.take(EDGES["update"]._replace(action=fails), attempt)
    else:
        attempt = Attempt.of(life, life.package._replace(data=newer), Order(), Patience("now", 60))

        def late(life, seconds, attempt):
            attempt.make(life, 0.0)
            attempt.patience.end()
            raise DeadlineExceeded

        with pytest.raises(DeadlineExceeded):
            life.take(EDGES["update"]._replace(action=late), attempt)
    assert [plugin.call("get", key) for key in ("old", "gone")] == [b"1", b"2"]
    with pytest.raises(ErrorAnswer, match="no value of more"):
        plugin.call("get", "more")
    stays = where != "start"  # it was asked for its state
    assert plugin.call("get", "own") == (b"new" if stays else b"3")
    if stays:
        assert plugin.call("get", "mine") == b"new"
    else:
        assert plugin.metrics().stored_bytes == plain.stored_bytes
    plugin.call("put", ["old", "x"])
    assert plugin.call("get", "old") == b"x"
    values = life.ledger.kept["kv"]
    assert values._size == plugin.metrics().stored_bytes
    assert values._size == sum(64 + len(k.encode()) + len(v) for k, v in values._found.items())
    assert life.trial is None and life.ledger.trial is None and life.context._tried is None


@pytest.mark.parametrize(("theirs", "last"), [("x", "v"), ("v", "z"), ("x", "z")])
def test_what_the_running_version_wrote_meanwhile_stays(hosts, theirs, last):
    """In ``export-state``, behind what the new one wrote at its start: also the same value, and where the new one
    writes it once more before it fails."""
    host = hosts(key_values())
    said = manifest(functions={"put": "json -> none", "get": "text -> bytes"}, capabilities=["kv"])

    def writes(at, value):
        return (
            f"(drop (call $set (i32.const {at}) (i32.const 9)))",
            f'(data (i32.const {at}) "[\\"k\\",\\"{value}\\"]")',
        )

    (call, data), (first, one), (again, two) = writes(512, theirs), writes(512, "v"), writes(544, last)
    old = (WAYS, data, f'(func (export "export-state") (result i64) {call} (i64.const 0))')
    new = (WAYS, one, two, f'(func (export "plugin_start") (param i32 i32) (result i64) {first} (i64.const 0))',
           f'(func (export "migrate") (param i32 i32 i32) (result i32) {again} (i32.const 1))')  # fmt: skip
    plugin = host.plugins.add(said, module(*old, imports=KEEPS))
    plugin.load()
    plugin.call("put", ["k", "before"])
    with pytest.raises(MigrationFailed):
        plugin.update_to(said, module(*new, imports=KEEPS))
    assert plugin.call("get", "k") == theirs.encode()


def test_a_version_may_ask_for_another_grant(hosts):
    """It takes another instance, under its own limits."""
    host = hosts()
    plugin = counted(host)
    said = next_version(capabilities=["host"], limits={"stored_bytes": 5})
    done = plugin.update_to(said, module(*GUEST, imports=HOST))
    assert (done.kind, done.carried) == ("swap", 4)
    assert plugin.call("count") == "3" and plugin._life.ledger.most == 5
    plugin.rollback()
    assert plugin._life.ledger.most == PluginLimits().stored_bytes


def test_a_veto_holds_for_versions_too(host):
    """Before anything of it runs."""
    plugin = counted(host)

    def no(question):
        raise RuntimeError(f"not {question.version}")

    with host.plugins.engine.bus.subscribe(PluginLoading, no), pytest.raises(PluginRefused, match=r"not 2\.0\.0"):
        plugin.update_to(next_version(), module(*NEXT))
    assert plugin.call("count") == "3"


def test_an_update_does_not_wait_for_itself(host):
    """In a host function that the plugin calls; and one that was planned for another version is not made."""
    plugin = None

    def ask(text):
        with pytest.raises(PluginBusy, match="from inside a call of its own"):
            plugin.update_to(next_version(), module(*NEXT))
        return text

    host.ask = ask
    body = (*GUEST, '(func (export "ask") (param i32 i32) (result i64) (call $ask (local.get 0) (local.get 1)))')
    plugin = host.load(*body, imports=HOST, ask="text -> text")
    assert plugin.call("ask", "x") == "x"
    life = plugin._life
    stale = Attempt.of(life, life.package, Order(how="swap"), Patience("now", None))
    assert isinstance(stale.base, Version)
    plugin.update_to(plugin.manifest, life.package.data, how="swap")
    with pytest.raises(PluginRefused, match="it has changed meanwhile"):
        plugin._go_on(stale)


def test_a_call_under_way_has_its_time_to_end(host, held):
    """Then the update is given up."""
    host.ask = held
    body = (*GUEST, '(func (export "ask") (param i32 i32) (result i64) (call $ask (local.get 0) (local.get 1)))')
    plugin = host.load(*body, imports=HOST, ask="text -> text", count="none -> text")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(plugin.call("ask", "x")))
    thread.start()
    held.has_come()
    host.events.clear()
    said = manifest(version="2.0.0", functions=KINDS | {"ask": "text -> text"}, capabilities=["host"])
    with pytest.raises(PluginBusy, match="was not free within"):
        plugin.update_to(said, module(*body, MORE, imports=HOST), deadline=0.05)
    assert host.events.one(EdgeRefused).edge == "update"
    held.go_on.set()
    assert plugin.update_to(said, module(*body, MORE, imports=HOST)).kind == "swap"
    thread.join()
    assert answers == ["x"]


def granted(host, name, **options):
    """A plugin with a capability that has counted to 2."""
    plugin = host.plugins.add(manifest(functions=KINDS, capabilities=[name]), module(*GUEST, **options))
    plugin.load()
    assert [plugin.call("count") for _ in range(2)] == ["1", "2"]
    return plugin


class Inside:
    """A plugin that is inside of its host when it is called with ``function``, until ``go_on``."""

    ASKS = '(func (export "asks") (param i32 i32) (result i64) (call $ask (local.get 0) (local.get 1)) AFTER)'

    def __init__(self, host, after=""):
        self.entered, self.gone_on = threading.Event(), threading.Event()
        host.ask = self._ask
        self.body = (*GUEST, self.ASKS.replace("AFTER", after))
        self.kinds = KINDS | {"asks": "text -> text"}
        self.plugin = host.load(*self.body, imports=HOST, **self.kinds)
        self.outcomes = {}
        self.threads = [self._thread("asks", self.plugin.call, "asks", "x")]
        assert self.entered.wait(60)

    def _ask(self, text):
        self.entered.set()
        assert self.gone_on.wait(60)
        return text

    def _thread(self, name, function, *given):
        def run():
            try:
                self.outcomes[name] = function(*given)
            except BaseException as error:
                self.outcomes[name] = error

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def waits(self, name, function, *given):
        """Somebody who waits for a turn behind those that do."""
        before = self.plugin._life.gate.waiting
        self.threads.append(self._thread(name, function, *given))
        until(lambda: self.plugin._life.gate.waiting > before)

    def go_on(self):
        """Let it come back; what all got."""
        self.gone_on.set()
        for thread in self.threads:
            thread.join()
        return self.outcomes


def test_a_call_that_waited_is_one_of_the_version_that_it_comes_to(host):
    """Its function may be gone, or take something else: that is no failure of the plugin."""
    inside = Inside(host)
    plugin = inside.plugin
    said = next_version(capabilities=["host"])
    inside.waits("update", plugin.update_to, said, module(*inside.body, MORE, imports=HOST))
    inside.waits("call", plugin.call, "asks", "y")
    outcomes = inside.go_on()
    assert (outcomes["asks"], outcomes["update"].kind) == ("x", "swap")
    assert isinstance(outcomes["call"], AttributeError)
    assert (plugin.state, plugin.call("count")) == (State.ACTIVE, "1")


@pytest.mark.parametrize(("new", "kind"), [((), "patch"), ((MORE,), "swap")])
def test_what_was_to_be_updated_may_have_failed_meanwhile(host, new, kind):
    """Then it takes the new version as one that has failed does."""
    inside = Inside(host, "unreachable")
    plugin = inside.plugin
    said = manifest(version="2.0.0", functions=inside.kinds, capabilities=["host"])
    newer = module(inside.body[0].replace("(i32.const 48)", "(i32.const 64)"), *inside.body[1:], *new, imports=HOST)
    assert plugin.update_to(said, newer, dry_run=True).kind == kind
    inside.waits("update", plugin.update_to, said, newer)
    outcomes = inside.go_on()
    assert isinstance(outcomes["asks"], Trap) and outcomes["update"].kind == "swap"
    assert (plugin.state, plugin.call("count")) == (State.ACTIVE, "A")


@pytest.mark.parametrize("end", [lambda plugin: plugin.quarantine("enough"), lambda plugin: plugin.unload(0)])
def test_who_ends_a_plugin_ends_what_is_about_to_begin(host, end):
    """The new version spins in its start, and would for ever."""
    plugin, outcomes = counted(host), []

    def update():
        try:
            plugin.update_to(next_version(), module(*NEXT, f"(func $s {SPIN}) (start $s)"), deadline=None)
        except BaseException as error:
            outcomes.append(error)

    thread = threading.Thread(target=update)
    thread.start()
    until(lambda: plugin._life.making is not None and plugin._life.making.store is not None)
    end(plugin)
    thread.join()
    assert [type(error) for error in outcomes] == [Interrupted]
    assert plugin.state in (State.QUARANTINED, State.UNLOADED) and "store" not in plugin.metrics().owned


def test_an_update_looks_beside_a_call_that_is_abandoned(host):
    """Its instance is no use any more, and the plugin about to fail: what the update is, it says then."""
    plugin = counted(host)
    life = plugin._life
    life.instance.poison()
    attempt = Attempt.of(life, life.package._replace(data=module(*NEXT)), Order(), Patience("now", 60))
    assert attempt.is_swap
    with pytest.raises(InstancePoisoned):
        plugin.call("count")
    assert plugin.state is State.FAILED
    life.take(life.edges["update"], attempt)
    assert attempt.update.applied and plugin.call("count") == "1"


@pytest.mark.parametrize("stays", [False, True])
def test_what_the_running_version_registers_beside_an_update_stays(hosts, stays):
    """Also if the update fails, whether it goes with the instance or the plugin; what the new one did does not. What is
    the plugin's stays with the next version too."""
    contexts, closed = [], []

    def functions(context):
        contexts.append(context)
        return {}

    plugin = granted(hosts(Capability("files", functions)), "files")

    def migrate(old, new):
        for number, context in enumerate(contexts):
            context.own("file", "one", lambda number=number: closed.append(number), stays=stays)
        raise ValueError("no")

    newer = next_version(capabilities=["files"]), module(*NEXT)
    with pytest.raises(ValueError, match="no"):
        plugin.update_to(*newer, migrate=migrate)
    assert closed == [1] and plugin.metrics().owned["file"] == 1
    assert plugin.update_to(*newer).kind == "swap"
    plugin.forget()
    assert closed == ([1] if stays else [1, 0])
    assert plugin.metrics().owned.get("file", 0) == int(stays)
    plugin.unload()
    assert closed == [1, 0]


@pytest.mark.parametrize("end", [lambda new: new.store.close(), lambda new: new.close()])
def test_a_version_that_was_closed_meanwhile_is_not_taken(host, end):
    """By what should carry the state into it."""
    plugin = counted(host)
    with pytest.raises(Closed, match="has closed the new version"):
        plugin.update_to(next_version(), module(*NEXT), migrate=lambda _, new: end(new))
    assert (plugin.call("count"), plugin.manifest.version) == ("3", "1.0.0")


def test_a_new_version_begins_under_its_own_limits(hosts):
    """What it may have stored is what it asks for, not what the one before did."""
    imports = '(import "kv" "set" (func $set (param i32 i32) (result i64)))'
    plugin = granted(hosts(key_values()), "kv", imports=imports)
    start = """(data (i32.const 512) "[\\"a\\",\\"b\\"]")
      (func (export "plugin_start") (param i32 i32) (result i64) (call $set (i32.const 512) (i32.const 9)))"""
    said = next_version(capabilities=["kv"], limits={"stored_bytes": 5})
    with pytest.raises(ErrorAnswer, match="may have 5 bytes stored"):
        plugin.update_to(said, module(*NEXT, start, imports=imports))
    assert plugin._life.ledger.most == PluginLimits().stored_bytes


def test_no_call_fails_beside_updates(host):
    """Swaps and patches in turn, while threads count: nothing is lost, and nothing is left behind."""
    body = [COUNT.replace("(i32.const 48)", "(i32.and (i32.const 0) (global.get $count))"), EXPORT, MIGRATE]
    plugin = host.load(*body, count="none -> bytes")
    over, errors, counts = threading.Event(), [], [0, 0]

    def call(number):
        try:
            while not over.is_set():
                plugin.call("count")
                counts[number] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    said = manifest(functions={"count": "none -> bytes"})
    kinds = []
    for number in range(30):
        more = f'(global (export "more") i32 (i32.const {number // 2}))' + "(func (drop (i32.const 5)))" * (number % 2)
        kinds.append(plugin.update_to(said, module(*body, more)).kind)
    until(lambda: min(counts) or errors)
    over.set()
    for thread in threads:
        thread.join()
    assert errors == [] and set(kinds) == {"swap", "patch"}
    assert plugin.call("count") == bytes([(sum(counts) + 1) % 256])
    assert plugin.metrics().owned["instance"] <= 2
    plugin.unload()
    assert plugin.metrics().owned == {}


def test_async_ways(host, tmp_path):
    """The loop goes on beside an update, which waits for its calls; cancelling ends it, and all is as it was."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def ask(text):
        inside.set()
        await go_on.wait()
        return text

    async def main():
        said = {"count": "none -> text", "slow": "text -> text"}
        imports = HOST.replace('"host"', '"slowly"')
        body = (*GUEST, '(func (export "slow") (param i32 i32) (result i64) (call $ask (local.get 0) (local.get 1)))')
        slow = Host(Capability("slowly", {"ask": HostFunction("text -> text", ask)}))
        plugin = slow.plugins.add(manifest(functions=said, capabilities=["slowly"]), module(*body, imports=imports))
        await plugin.load_async()
        newer = manifest(version="2.0.0", functions=said, capabilities=["slowly"])
        (tmp_path / "plugin.json").write_bytes(newer.as_json())
        (tmp_path / "guest.wat").write_bytes(module(*body, MORE, imports=imports))
        call = asyncio.create_task(plugin.call_async("slow", "x"))
        await inside.wait()
        assert (await plugin.update_async(tmp_path, dry_run=True)).kind == "swap"
        waits = asyncio.create_task(plugin.update_async(tmp_path))
        await until_async(lambda: plugin._life.gate.waiting)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        with pytest.raises(PluginBusy):
            await plugin.update_async(tmp_path, deadline=0.02)
        update = asyncio.create_task(plugin.update_async(tmp_path))
        await until_async(lambda: plugin._life.gate.waiting)
        go_on.set()
        assert await call == "x"
        assert (await update).kind == "swap"
        assert await plugin.call_async("count") == "1"
        await plugin.rollback_async()
        spins = module(*body, MORE, f"(func $s {SPIN}) (start $s)", imports=imports)
        (tmp_path / "guest.wat").write_bytes(spins)
        update = asyncio.create_task(plugin.update_async(tmp_path))
        await until_async(lambda: plugin._life.gate._holder is not None)
        await asyncio.sleep(0.02)
        update.cancel()
        with pytest.raises(asyncio.CancelledError):
            await update
        assert (await plugin.call_async("count"), plugin.state) == ("1", State.ACTIVE)
        slow.plugins.close()

    asyncio.run(main())
