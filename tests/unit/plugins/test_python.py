"""Claims about plugins in Python: found by entry points, trusted by a grant alone, behind the same life as others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from stratavm import DeadlineExceeded, Trap
from stratavm.base.forms import replace
from stratavm.plugins import (
    ErrorAnswer,
    Grant,
    PluginBusy,
    PluginLimits,
    PluginRefused,
    Plugins,
    PluginUnavailable,
    Policy,
    State,
    hookspec,
)
from stratavm.plugins.events import ManifestRefused, PluginCalled, PluginFailed, PluginLoading
from stratavm.plugins.python import semantic
from tests.unit.plugins.conftest import until_async
from tests.unit.plugins.guests import ECHO, TRAP, manifest, module

CODE = """
import asyncio
from stratavm.plugins import ErrorAnswer, hookimpl

class Greeter:
    functions = {"greet": "text -> text", "count": "none -> json", "boom": "none -> none", "no": "none -> none",
                 "lie": "none -> text", "slow": "none -> text", "again": "none -> none"}
    def __init__(self, context):
        self.context, self.calls, self.config = context, 0, None
        LOG.append("made")
        context.own("file", "open", lambda: LOG.append("closed"))
    def plugin_start(self, config):
        self.config = config
    def plugin_health(self):
        if self.calls > 1:
            raise ErrorAnswer("tired")
    def plugin_stop(self):
        LOG.append("bye")
    def greet(self, name):
        return f"{(self.config or {}).get('word', 'hello')} {name}"
    def count(self):
        self.calls += 1
        return self.calls
    def boom(self):
        raise OSError("broken")
    def no(self):
        raise ErrorAnswer("not today")
    def lie(self):
        return 3
    def again(self):
        HOST[0]()
    async def slow(self):
        SLEPT.append(self)
        await asyncio.sleep(SLEEP[0])
        return "slept"
    @hookimpl
    def colour(self, word):
        if word == "boom":
            raise OSError("broken")
        self.calls += 1
        return f"{word} by greeter"

LOG, HOST, SLEEP, SLEPT = [], [], [0.001], []

class Starting(Greeter):
    def plugin_start(self, config):
        HOST[1]()
    @hookimpl
    def colour(self, word):
        return f"{word} by another"

class Waiting(Greeter):
    async def plugin_health(self):
        return None

class Other:
    functions = {}
    def __init__(self, context): pass
    @hookimpl(wrapper=True)
    def colour(self, word):
        return [*(yield), "wrapped"]

class Odd(Other):
    @hookimpl
    def nothing(self): pass

class Lying(Other):
    functions = {"gone": "text -> text"}
"""


class Specs:
    """The hooks of a host."""

    @hookspec
    def colour(self, word):
        """Colour a word."""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution, as pip leaves one, under a name of its own; its module, imported or not."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(version="1.2.0", code=CODE, **points):
        name = f"a_greeter_{len(made)}_of_{tmp_path.name.replace('-', '_')}"
        made.append(name)
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{key} = {name}:{value}" for key, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[stratavm.plugins]", *lines]))
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def trusting(hosts):
    """A host that lets Python in, with hooks."""
    return hosts(grant=Grant(python=True, limits=PluginLimits(call_s=20)), hooks=Specs)


def test_an_entry_point_becomes_a_plugin(trusting, install):
    """With its whole life; nothing is imported before it is loaded."""
    name = install(greeter="Greeter")
    (plugin,) = trusting.plugins.discover_python()
    plugin.check()
    assert name not in sys.modules
    assert (plugin.name, plugin.manifest.version, plugin.manifest.module) == ("greeter", "1.2.0", f"{name}:Greeter")
    plugin.load()
    assert trusting.said == ["Discovered", "Verified", "Resolved", "Instantiated", "Starting", "Activated"]
    log = sys.modules[name].LOG
    assert plugin.call("greet", "world") == "hello world"
    assert [plugin.call("count") for _ in range(3)] == [1, 2, 3]
    assert dict(plugin.manifest.functions)["greet"].takes == "text"
    with pytest.raises(ErrorAnswer, match="not today"):
        plugin.call("no")
    plugin.suspend()
    with pytest.raises(PluginUnavailable):
        plugin.call("count")
    plugin.resume()
    assert plugin.call("count") == 4
    metrics = plugin.metrics()
    assert metrics.calls == {"answered": 5, "error": 1, "failed": 0} and metrics.bytes_in == 5
    assert metrics.owned == {"entry point": 1, "context": 1, "file": 1, "hooks": 1, "object": 1}
    plugin.unload()
    assert log == ["made", "bye", "closed"]
    assert plugin.metrics().owned == {} and plugin._life.version.body.thing is None


def test_nothing_but_a_grant_of_its_own_lets_it_in(hosts, install):
    """It runs with all rights of the process; listeners are asked as always."""
    name = install(greeter="Greeter")
    for grant, words in (
        (Grant(), "which nothing confines: a Grant says python=True"),
        (Grant(python=True, digests=["sha256:" + "0" * 64]), "names digests of modules, and it is none"),
    ):
        host = hosts(grant=grant)
        (plugin,) = host.plugins.discover_python()
        with pytest.raises(PluginRefused, match=words):
            plugin.load()
    with Plugins(Policy({})) as plugins, pytest.raises(PluginRefused, match="no grant names it"):
        plugins.discover_python()[0].load()
    host = hosts(grant=Grant(python=True))

    def no(question):
        raise RuntimeError("not on my watch")

    (plugin,) = host.plugins.discover_python()
    with host.plugins.engine.bus.subscribe(PluginLoading, no), pytest.raises(PluginRefused, match="not on my watch"):
        plugin.load()
    assert name not in sys.modules
    with pytest.raises(TypeError, match="python must be True or False"):
        Grant(python=1)


def test_an_exception_gives_the_object_up(trusting, install):
    """And after a delay there is another one; too many, and the plugin is in quarantine."""
    name = install(greeter="Greeter")
    (plugin,) = trusting.plugins.discover_python()
    plugin.load()
    log = sys.modules[name].LOG
    for _ in range(4):
        with pytest.raises(OSError, match="broken"):
            plugin.call("boom")
        assert plugin.state is State.FAILED and log[-1] == "closed"
        with pytest.raises(PluginUnavailable, match="it is started again"):
            plugin.call("count")
        trusting.now += 100
        assert plugin.call("greet", "x") == "hello x"
        trusting.now += 1000
    with pytest.raises(TypeError, match=r"greeter\.lie gives text: expected a string"):
        plugin.call("lie")
    assert trusting.events.of(PluginFailed)[0].reason == "OSError: broken"
    for _ in range(4):
        trusting.now += 100
        with pytest.raises(OSError, match="broken"):
            plugin.call("boom")
    assert plugin.state is State.QUARANTINED and log.count("made") == log.count("closed")


def test_what_is_asked_wrongly_fails_nobody(trusting, install):
    """A function that there is not, a value of another kind, an async method in a plain call, a call of itself."""
    name = install(greeter="Greeter")
    (plugin,) = trusting.plugins.discover_python()
    with pytest.raises(PluginUnavailable, match="is discovered"):
        plugin.call("greet", "x")
    plugin.load()
    with pytest.raises(AttributeError, match="did you mean 'greet'"):
        plugin.call("gret", "x")
    with pytest.raises(TypeError, match="takes text"):
        plugin.call("greet", 3)
    with pytest.raises(TypeError, match=r"await plugin\.call_async"):
        plugin.call("slow")

    def again():
        with pytest.raises(PluginBusy):
            plugin.call("count")

    sys.modules[name].HOST.append(again)
    plugin.call("again")
    with pytest.raises(PluginRefused, match="Python cannot be replaced"):
        plugin.update_to(plugin.manifest, b"")
    with pytest.raises(PluginRefused, match="there is no update to undo"):
        plugin.rollback()
    assert plugin.state is State.ACTIVE


def test_async_ways(hosts, install):
    """A coroutine in the loop, with the time of a call; a plain method in a thread."""
    name = install(greeter="Greeter")
    host = hosts(grant=Grant(python=True, limits=PluginLimits(call_s=20)))
    (plugin,) = host.plugins.discover_python()

    async def main():
        await plugin.load_async()
        assert await plugin.call_async("slow") == "slept"
        assert await plugin.call_async("greet", "you") == "hello you"
        sys.modules[name].SLEEP[0] = 600
        version = plugin._life.version
        plugin._life.version = version._replace(limits=replace(version.limits, call_s=0.2))  # for this call alone
        with pytest.raises(DeadlineExceeded, match=r"greeter\.slow took too long"):
            await plugin.call_async("slow")
        plugin._life.version = plugin._life.version._replace(limits=version.limits)
        assert plugin.state is State.FAILED
        host.now += 100
        task = asyncio.create_task(plugin.call_async("slow"))
        await until_async(lambda: plugin.state is State.ACTIVE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await plugin.unload_async()

    asyncio.run(main())


def test_hooks_are_calls_of_their_plugins(trusting, install):
    """By pluggy's rules, counted, and with what follows a failure."""
    install(greeter="Greeter", other="Other")
    assert trusting.plugins.load_all() == {} and trusting.plugins.hook("colour", word="x") == []
    greeter, other = trusting.plugins.discover_python()
    trusting.plugins.load_all()
    calls = []
    trusting.plugins.engine.bus.subscribe(PluginCalled, calls.append)
    assert trusting.plugins.hook("colour", word="red") == ["red by greeter", "wrapped"]
    assert [(c.plugin, c.function, c.outcome) for c in calls] == [("greeter", "colour", "answered")]
    with pytest.raises(OSError, match="broken"):
        trusting.plugins.hook("colour", word="boom")
    assert greeter.state is State.FAILED and other.state is State.ACTIVE
    assert trusting.plugins.hook("colour", word="red") == ["wrapped"]
    trusting.now += 100
    assert trusting.plugins.hook("colour", word="red") == ["red by greeter", "wrapped"]
    other.unload()
    assert trusting.plugins.hook("colour", word="red") == ["red by greeter"]
    greeter.unload()
    assert trusting.plugins.hook("colour", word="red") == []
    with pytest.raises(AttributeError, match="there is no hook color; there are: colour"):
        trusting.plugins.hook("color")


def test_a_plugin_that_rests_answers_no_hooks(trusting, install):
    """And keeps nobody else from answering."""
    install(greeter="Greeter", other="Other")
    greeter, _ = trusting.plugins.discover_python()
    trusting.plugins.load_all()
    greeter.suspend()
    assert trusting.plugins.hook("colour", word="x") == ["wrapped"]
    greeter.resume()
    assert trusting.plugins.hook("colour", word="x") == ["x by greeter", "wrapped"]


def test_a_hook_starts_none_that_implements_no_hooks(trusting, install):
    """A stranger's plugin that fails again where it starts would have its trap come out of a hook of others."""
    install(greeter="Greeter")
    trusting.plugins.discover_python()
    text = module(TRAP, '(func (export "plugin_start") (param i32 i32) (result i64) (i64.const 0))')
    stranger = trusting.plugins.add(manifest(functions={"trap": "none -> none"}), text)
    assert trusting.plugins.load_all() == {}
    with pytest.raises(Trap):
        stranger.call("trap")
    trusting.now += 100
    trusting.events.clear()
    assert trusting.plugins.hook("colour", word="x") == ["x by greeter"]
    assert stranger.state is State.FAILED and trusting.said == []


def test_one_that_fails_again_where_a_hook_would_start_it_fails_alone(trusting, install):
    """What it raises there is told by an event, and the others answer."""
    name = install(greeter="Greeter", starting="Starting")
    greeter, starting = trusting.plugins.discover_python()
    greeter.load()
    starts = sys.modules[name].HOST
    starts.extend([None, lambda: None])
    starting.load()
    assert trusting.plugins.hook("colour", word="x") == ["x by another", "x by greeter"]
    with pytest.raises(OSError, match="broken"):
        starting.call("boom")
    trusting.now += 100
    starts[1] = lambda: 1 // 0
    trusting.events.clear()
    assert trusting.plugins.hook("colour", word="x") == ["x by greeter"]
    failed = trusting.events.one(PluginFailed)
    assert (failed.plugin, failed.where) == ("starting", "activate")


def test_a_hook_is_no_part_of_the_call_of_another_task(trusting, install):
    """It has no turn in the thread of the loop, which cannot wait: nothing runs uncounted, and no two calls at once."""
    name = install(greeter="Greeter")
    (plugin,) = trusting.plugins.discover_python()
    plugin.load()

    async def main():
        sys.modules[name].SLEEP[0] = 600
        call = asyncio.create_task(plugin.call_async("slow"))
        await until_async(lambda: bool(sys.modules[name].SLEPT))
        with pytest.raises(PluginBusy):
            trusting.plugins.hook("colour", word="x")
        assert plugin.metrics().calls == {"answered": 0, "error": 0, "failed": 0}
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())


def test_a_method_in_a_thread_is_inside_of_its_call(trusting, install):
    """A hook that it calls is a part of it, and a call of itself is refused at once."""
    name = install(greeter="Greeter")
    (plugin,) = trusting.plugins.discover_python()
    plugin.load()
    found = []

    def again():
        found.append(trusting.plugins.hook("colour", word="x"))
        with pytest.raises(PluginBusy, match="from inside a call of its own"):
            plugin.call("count")

    sys.modules[name].HOST.append(again)
    asyncio.run(plugin.call_async("again"))
    plugin.call("again")
    assert found == [["x by greeter"]] * 2
    assert plugin.metrics().calls == {"answered": 2, "error": 0, "failed": 0}


def test_what_is_no_plugin_is_refused(trusting, hosts, install):
    """An entry point without a factory, a name or a version that is none, hooks and functions that there are not."""
    install(Bad="Greeter")
    install(version="nightly", early="Greeter")
    name = install(odd="Odd", lying="Lying", gone="Gone", greeter="Greeter", waiting="Waiting")
    refused = []
    trusting.plugins.engine.bus.subscribe(
        ManifestRefused, lambda e: refused.append((e.file.partition(" ")[0], e.reason))
    )
    plugins = {plugin.name: plugin for plugin in trusting.plugins.discover_python()}
    assert [where for where, _ in refused] == ["Bad", "early"] and "no version" in refused[1][1]
    assert set(plugins) == {"odd", "lying", "gone", "greeter", "waiting"}
    with pytest.raises(PluginRefused, match="unknown hook 'nothing'"):
        plugins["odd"].load()
    with pytest.raises(PluginRefused, match=r"functions: expected a method .* found 'gone'"):
        plugins["lying"].load()
    with pytest.raises(PluginRefused, match="plugin_health cannot be async"):
        plugins["waiting"].load()
    with pytest.raises(AttributeError, match=name):
        plugins["gone"].load()
    assert all(plugins[key].state is State.FAILED for key in ("odd", "lying", "gone", "waiting"))
    plugins["greeter"].load()
    assert trusting.plugins.hook("colour", word="x") == ["x by greeter"]
    with pytest.raises(AttributeError, match=r"Plugins\(hooks=…\) was given none"):
        hosts().plugins.hook("colour")


@pytest.mark.parametrize(
    ("metadata", "point", "words"),
    [("Name: broken\n", "m:factory", "no version"), ("", "m:factory", "no version"), (None, "m:factory", "no version"),
     ("Version: 1.0\n", "not a place!", "an entry point of a plugin is")],
)  # fmt: skip
def test_a_broken_distribution_hides_no_others(trusting, install, tmp_path, metadata, point, words):
    """What pip leaves where it is ended, and what nobody can import."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    if metadata is not None:
        (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[stratavm.plugins]\nbroken = {point}\n")
    install(greeter="Greeter")
    refused = []
    trusting.plugins.engine.bus.subscribe(ManifestRefused, refused.append)
    assert [plugin.name for plugin in trusting.plugins.discover_python()] == ["greeter"]
    assert [event.file.partition(" ")[0] for event in refused] == ["broken"] and words in refused[0].reason


def test_one_says_whether_it_is_well(trusting, install):
    """By a method; an error answer says that it is not, another exception is a failure."""
    install(greeter="Greeter", other="Other")
    greeter, _ = trusting.plugins.discover_python()
    trusting.plugins.load_all()
    assert trusting.plugins.probe() == {"greeter": True, "other": None}
    assert [greeter.call("count"), greeter.call("count"), greeter.probe(), greeter.probe()] == [1, 2, False, False]
    assert greeter.probe() is False and greeter.state is State.FAILED
    trusting.now += 100
    assert greeter.probe() is True


def test_a_plugin_may_require_one_in_python(hosts, install):
    """By its name and version."""
    trusting = hosts(grant=Grant(python=True, holds=["greeter"]))
    install(version="2.1rc3", greeter="Greeter")
    trusting.plugins.discover_python()
    said = manifest("guest", {"echo": "text -> text"}, requires={"greeter": ">=2.1.0-rc.3, <3"})
    guest = trusting.plugins.add(said, module(ECHO))
    assert trusting.plugins.load_all() == {}
    assert guest.call("echo", "x") == "x"
    with pytest.raises(PluginRefused, match="required by guest"):
        trusting.plugins["greeter"].unload()


@pytest.mark.parametrize(
    ("said", "meant"),
    [("1", "1.0.0"), ("1.2", "1.2.0"), ("1.2.3.4", "1.2.3"), ("1.2rc1", "1.2.0-rc.1"), ("1.2.0b2", "1.2.0-beta.2"),
     ("1.2a", "1.2.0-alpha.0"), ("2024.01.05", "2024.1.5"), ("1.2.post1", "1.2.0"), ("1.2+local", "1.2.0"),
     ("1.2.dev1", "1.2.0-0.dev.1"), ("1.2dev", "1.2.0-0.dev.0"), ("1.2rc1.dev3", "1.2.0-0.dev.3"),
     ("1.2.post1.dev2", "1.2.0"), ("1.2+dev1", "1.2.0"),
     ("1.2-1", "1.2.0"), ("1.2.rev3", "1.2.0"), ("1.2+local.1-a", "1.2.0"), ("1.2.3.4.5rc2", "1.2.3-rc.2"),
     ("1.2foo", ""), ("1.2.foo", ""), ("1.foo.2", ""), ("1.2-foo", ""), ("1.2+", ""), ("1..2", ""), ("1!2.0", ""),
     ("nightly", ""), ("", "")],
)  # fmt: skip
def test_versions_of_distributions(said, meant):
    """As plugins have them."""
    assert semantic(said) == meant


def test_hooks_are_what_needs_pluggy(tmp_path):
    """Nothing else of the room imports it; the names are there, and say it where they are used."""
    code = """
        import sys
        sys.modules["pluggy"] = None
        from stratavm.plugins import Grant, Plugins, Policy
        with Plugins(Policy({}, Grant(python=True))) as plugins:
            plugins.discover_python()
        from stratavm.plugins import *
        for use in (lambda: Plugins(Policy({}), hooks=sys), lambda: hookspec(print), lambda: hookimpl(wrapper=True)):
            try:
                use()
            except ImportError as error:
                print(error)
        help("stratavm.plugins")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'stratavm[plugins]'") == 3 and "class Grant(" in done.stdout
