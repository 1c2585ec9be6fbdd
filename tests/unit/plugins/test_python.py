"""Claims about plugins in Python: found by entry points, trusted by a grant alone, behind the same life as others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from stratavm import DeadlineExceeded
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
from tests.unit.plugins.guests import ECHO, manifest, module

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
        await asyncio.sleep(SLEEP[0])
        return "slept"
    @hookimpl
    def colour(self, word):
        if word == "boom":
            raise OSError("broken")
        self.calls += 1
        return f"{word} by greeter"

LOG, HOST, SLEEP = [], [], [0.001]

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
    host = hosts(grant=Grant(python=True, limits=PluginLimits(call_s=0.5)))
    (plugin,) = host.plugins.discover_python()

    async def main():
        await plugin.load_async()
        assert await plugin.call_async("slow") == "slept"
        assert await plugin.call_async("greet", "you") == "hello you"
        sys.modules[name].SLEEP[0] = 600
        with pytest.raises(DeadlineExceeded, match=r"greeter\.slow took too long"):
            await plugin.call_async("slow")
        assert plugin.state is State.FAILED
        host.now += 100
        task = asyncio.create_task(plugin.call_async("slow"))
        while plugin.state is not State.ACTIVE:
            await asyncio.sleep(0.001)
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


def test_what_is_no_plugin_is_refused(trusting, hosts, install):
    """An entry point without a factory, a name or a version that is none, hooks and functions that there are not."""
    install(Bad="Greeter")
    install(version="nightly", early="Greeter")
    name = install(odd="Odd", lying="Lying", gone="Gone", greeter="Greeter")
    refused = []
    trusting.plugins.engine.bus.subscribe(
        ManifestRefused, lambda e: refused.append((e.file.partition(" ")[0], e.reason))
    )
    plugins = {plugin.name: plugin for plugin in trusting.plugins.discover_python()}
    assert [where for where, _ in refused] == ["Bad", "early"] and "no version" in refused[1][1]
    assert set(plugins) == {"odd", "lying", "gone", "greeter"}
    with pytest.raises(PluginRefused, match="unknown hook 'nothing'"):
        plugins["odd"].load()
    with pytest.raises(PluginRefused, match=r"functions: expected a method .* found 'gone'"):
        plugins["lying"].load()
    with pytest.raises(AttributeError, match=name):
        plugins["gone"].load()
    assert all(plugins[key].state is State.FAILED for key in ("odd", "lying", "gone"))
    plugins["greeter"].load()
    assert trusting.plugins.hook("colour", word="x") == ["x by greeter"]
    with pytest.raises(AttributeError, match=r"Plugins\(hooks=…\) was given none"):
        hosts().plugins.hook("colour")


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
     ("nightly", ""), ("", "")],
)  # fmt: skip
def test_versions_of_distributions(said, meant):
    """As plugins have them."""
    assert semantic(said) == meant


def test_hooks_are_what_needs_pluggy(tmp_path):
    """Nothing else of the room imports it."""
    code = """
        import sys
        sys.modules["pluggy"] = None
        from stratavm.plugins import Grant, Plugins, Policy
        with Plugins(Policy({}, Grant(python=True))) as plugins:
            plugins.discover_python()
        try:
            Plugins(Policy({}), hooks=sys)
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "pip install 'stratavm[plugins]'" in done.stdout
