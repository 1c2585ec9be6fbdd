"""Claims about hosts: what they find in folders, what they take for a file, what grants may say, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading

import pytest

from stratavm import Closed, Engine, ResourceLimit, Trap
from stratavm.plugins import (
    Capability,
    Grant,
    HostFunction,
    ManifestError,
    PluginError,
    PluginLimits,
    PluginRefused,
    Plugins,
    PluginUnavailable,
    Policy,
    Recovery,
    State,
    Timeouts,
    log,
    sources,
)
from stratavm.plugins.events import ManifestRefused, PluginUnloaded
from stratavm.plugins.manifest import MOST_BYTES
from stratavm.plugins.sources import read_file
from stratavm.testing import EventRecorder
from tests.unit.plugins.guests import ASK, ECHO, HOST, TRAP, manifest, module


def write(folder, name="guest", text=None, file="plugin.toml", **functions):
    """A plugin in a folder."""
    folder.mkdir(exist_ok=True)
    lines = [f'plugin = 1\nname = "{name}"\nversion = "1.0.0"\nmodule = "{name}.wat"\n[functions]']
    lines += [f'{function} = "{kinds}"' for function, kinds in functions.items()]
    (folder / file).write_text("\n".join(lines))
    (folder / f"{name}.wat").write_bytes(module(ECHO) if text is None else text)
    return folder


# ---- files ----


def test_plugins_are_found_in_folders(host, tmp_path):
    """In one, and in those in it, by either kind of name; what is none is told. Nothing of them runs."""
    write(tmp_path, "top", file="top.plugin.toml")
    write(tmp_path / "a", "one", echo="text -> text")
    write(tmp_path / "b", "two", b"nonsense")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "plugin.json").write_text("[]")
    (tmp_path / "d").symlink_to(tmp_path / "a")
    with EventRecorder(host.plugins.engine.bus, ManifestRefused) as refused:
        found = host.plugins.discover(tmp_path)
    assert [plugin.name for plugin in found] == ["top", "one", "two"]
    assert {plugin.state for plugin in host.plugins} == {State.DISCOVERED} and len(host.plugins) == 3
    assert refused.events[0].file.endswith("c/plugin.json") and "expected a table" in refused.events[0].reason
    host.plugins["one"].load()
    assert host.plugins["one"].call("echo", "x") == "x"
    host.plugins["top"].check()
    assert host.plugins["top"].state is State.RESOLVED and "store" not in host.plugins["top"].metrics().owned
    host.plugins["top"].load()
    with pytest.raises(PluginRefused, match="check: it is active"):
        host.plugins["top"].check()


def test_a_name_that_is_taken_hides_nobody(host, tmp_path):
    """It is told; those before it and behind it are found."""
    for folder, name in (("a", "one"), ("b", "one"), ("c", "two")):
        write(tmp_path / folder, name)
    with EventRecorder(host.plugins.engine.bus, ManifestRefused) as refused:
        found = host.plugins.discover(tmp_path)
    assert [plugin.name for plugin in found] == ["one", "two"]
    assert [event.file.endswith("b/plugin.toml") for event in refused.events] == [True]
    assert "there is a plugin of this name" in refused.events[0].reason


def test_a_plugin_is_loaded_by_its_folder_or_its_manifest(host, tmp_path):
    """One that cannot be loaded is forgotten: the next try begins anew."""
    write(tmp_path / "a", echo="text -> text", text=b"(module")
    for _ in range(2):
        with pytest.raises(Exception, match="module"):
            host.plugins.load(tmp_path / "a")
    assert list(host.plugins) == []
    write(tmp_path / "a", echo="text -> text")
    assert host.plugins.load(tmp_path / "a" / "plugin.toml").call("echo", "x") == "x"

    async def main():
        host.plugins["guest"].unload()
        plugin = await host.plugins.load_async(tmp_path / "a")
        assert await plugin.call_async("echo", "x") == "x"
        await plugin.unload_async()
        (tmp_path / "a" / "guest.wat").write_bytes(module())
        with pytest.raises(PluginRefused, match="it exports no echo"):
            await host.plugins.load_async(tmp_path / "a")

    asyncio.run(main())
    assert list(host.plugins) == []


def test_what_is_forgotten_is_no_other_of_its_name(host, tmp_path):
    """Which somebody adds as soon as the name is free."""
    write(tmp_path / "a", text=b"(module")
    added = []

    def add(event):
        added.append(host.add(ECHO, echo="text -> text"))

    with host.plugins.engine.bus.subscribe(PluginUnloaded, add), pytest.raises(Exception, match="module"):
        host.plugins.load(tmp_path / "a")
    assert list(host.plugins) == added and list(host.plugins._lives) == ["guest"]
    added[0].load()
    host.plugins.close()
    assert added[0].state is State.UNLOADED


def test_what_is_forgotten_leaves_nothing(host, tmp_path):
    """Of its life, either."""
    with pytest.raises(Exception, match="module"):
        host.plugins.load(write(tmp_path / "a", text=b"(module"))
    assert host.plugins._lives == {} and host.plugins.metrics() == {}


def test_a_folder_without_a_plugin_is_told(host, tmp_path):
    """With the names that are looked for."""
    with pytest.raises(ManifestError, match=r"a file plugin\.toml or plugin\.json in it, found none"):
        host.plugins.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        host.plugins.load(tmp_path / "nothing")


def test_what_is_no_plain_file_is_not_read(tmp_path):
    """A pipe that nobody writes to, a link to a secret, a device without an end, a file without one."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "long").write_bytes(b"x" * 11)
    for name, words in (("pipe", "is no plain file"), ("link", ""), ("long", "has more than 10 bytes")):
        with pytest.raises((OSError, PluginError)) as caught:
            read_file(str(tmp_path / name), 10)
        assert words in str(caught.value)
    with pytest.raises(PluginError, match="is no plain file"):
        read_file("/dev/zero", 10)
    assert read_file(str(tmp_path / "long"), 11) == b"x" * 11


def test_more_folders_and_manifests_than_are_looked_at_are_told(host, tmp_path, monkeypatch):
    """Whoever fills a folder hides nobody without a word; files that are no manifests do not count."""
    monkeypatch.setattr(sources, "MOST_FOUND", 2)
    for name in "abcd":
        write(tmp_path / name, name)
    for name in ("one", "three", "two"):
        write(tmp_path, name, file=f"{name}.plugin.toml")
    with EventRecorder(host.plugins.engine.bus, ManifestRefused) as refused:
        found = host.plugins.discover(tmp_path)
    assert [plugin.name for plugin in found] == ["one", "three", "a", "b"]
    assert [(event.file, event.reason) for event in refused.events] == [
        (str(tmp_path), f"{tmp_path} has 3 manifests, of which 2 are looked at: none from two.plugin.toml on"),
        (str(tmp_path), f"{tmp_path} has 4 folders, of which 2 are looked at: none from c on"),
    ]


@pytest.mark.parametrize(
    ("begins", "kind"), [(b"\0asm\1\0\0\0", "a WebAssembly module"), (b"\x89strata", "an image of `strata build`")]
)
def test_a_module_in_the_place_of_a_manifest_is_told_so(host, tmp_path, begins, kind):
    """However long it is: not that it is no TOML, or has too many bytes."""
    for size in (10, MOST_BYTES + 1):
        (tmp_path / "m.wasm").write_bytes(begins.ljust(size, b"\0"))
        with pytest.raises(ManifestError, match=f"expected a manifest, .*, found {kind}, which a manifest names"):
            host.plugins.load(tmp_path / "m.wasm")
    (tmp_path / "m.toml").write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(PluginError, match=f"has more than {MOST_BYTES} bytes"):
        host.plugins.load(tmp_path / "m.toml")


# ---- grants ----


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Grant(capabilities="log"), TypeError),
        (lambda: Grant(digests=["sha1:00"]), ValueError),
        (lambda: Grant(limits=5), TypeError),
        (lambda: Grant(folders={"/": ("x", "rwx")}), ValueError),
        (lambda: Policy({"Not a name": Grant()}), ValueError),
        (lambda: Policy({"name": "all"}), TypeError),
        (lambda: Policy({}, otherwise="all"), TypeError),
        (lambda: PluginLimits(memory_bytes=-1), ValueError),
        (lambda: PluginLimits(fuel=1.5), TypeError),
        (lambda: Recovery(restart=3), TypeError),
        (lambda: Recovery(most=0), ValueError),
        (lambda: Timeouts(stop="soon"), TypeError),
        (lambda: Plugins(None), TypeError),
        (lambda: Plugins(Policy({}), [log(print), log(print)]), ValueError),
        (lambda: Plugins(Policy({"a": Grant(limits=PluginLimits(fuel=5))}), engine=Engine()), ValueError),
        (lambda: Capability("Not a name", {}), ValueError),
        (lambda: Capability("c", {"f": print}), TypeError),
        (lambda: Capability("c", {"f": HostFunction("text", print)}), ValueError),
    ],
)
def test_a_mistake_of_the_host_is_told_at_once(make, error):
    """When it is made, not when a plugin comes."""
    with pytest.raises(error):
        make()


def test_folders_are_granted_by_path_and_mode():
    """Read-only is not writable; less than granted is given."""
    grant = Grant(wasi=True, folders={"/data": "x", "/out": ("y", "rw")}, env={"LANG": "C"})

    def refused(**asks):
        return list(grant.refusals(manifest(wasi=True, **asks)))

    assert refused(folders={"/data": "ro", "/out": "ro"}, env=["LANG"]) == []
    assert refused(folders={"/data": "rw"}) == ["it asks for the folder /data to write, it is granted to read"]
    assert refused(folders={"/etc": "ro"}) == ["it asks for the folder /etc, which it is not granted"]
    assert refused(env=["HOME"]) == ["it asks for the variables HOME, which it is not granted"]
    assert grant.preopens(manifest(wasi=True, folders={"/out": "ro"})) == [("y", "/out", "ro")]
    assert grant.variables(manifest(wasi=True)) == {}
    assert repr(Policy({"a": Grant()}, Grant())) == "<Policy for a and all others>"


def test_an_engine_of_the_host_is_used_and_left_open():
    """Its bus, its fuel; one of the plugins' own is closed with them."""
    with Engine(fuel=True) as engine:
        with Plugins(Policy({}, Grant(limits=PluginLimits(fuel=10_000))), engine=engine) as plugins:
            plugin = plugins.add(manifest(functions={"echo": "text -> text"}), module(ECHO))
            plugin.load()
            assert plugin.call("echo", "x") == "x" and plugin.metrics().fuel > 0
            assert repr(plugins) == "<Plugins: 1>" and plugins.metrics()["guest"].state == "active"
        assert not engine.services.closed
    own = Plugins(Policy({}))
    own.close()
    own.close()
    assert own.engine.services.closed


# ---- ends ----


def test_one_that_cannot_end_does_not_keep_the_others(hosts, held):
    """A host function that does not return holds its own plugin; the others are unloaded."""
    host = hosts(timeouts=Timeouts(stop=0.05))
    host.ask = held
    other = host.load(ECHO, name="other", echo="text -> text")
    stuck = host.load(ASK, imports=HOST, ask="text -> text")

    def run():
        with contextlib.suppress(Trap):  # it may be interrupted on its way back
            stuck.call("ask", "x")

    thread = threading.Thread(target=run)
    thread.start()
    held.has_come()
    try:
        with pytest.raises(PluginError, match="plugin guest was not free"):
            host.plugins.close()
        assert other.state is State.UNLOADED
        with pytest.raises(PluginUnavailable):
            other.call("echo", "x")
    finally:
        held.go_on.set()
        thread.join()
    stuck.unload()
    assert stuck.state is State.UNLOADED


def test_a_capability_that_breaks_its_own_rules_is_no_fault_of_the_plugin(hosts):
    """An answer of another kind, or one that is too long."""
    answers = []
    host = hosts()
    host.ask = lambda text: answers[-1]
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    for answer, error in ((5, TypeError), ("x" * 2_000_000, ResourceLimit)):
        answers.append(answer)
        with pytest.raises(error):
            plugin.call("ask", "x")
    answers.append("fine")
    host.now += 1
    assert plugin.call("ask", "x") == "fine"


def test_an_async_host_function_may_fail_too(hosts):
    """What it raises comes out, or is an answer."""

    async def ask(text):
        await asyncio.sleep(0)
        raise {"closed": Closed("gone"), "value": ValueError("odd")}[text]

    host = hosts(Capability("slow", {"ask": HostFunction("text -> text", ask)}), grant=Grant(capabilities=["slow"]))
    asked = manifest(capabilities=["slow"], functions={"ask": "text -> text"})
    plugin = host.plugins.add(asked, module(ASK, TRAP, imports=HOST.replace('"host"', '"slow"')))

    async def main():
        await plugin.load_async()
        for text, error in (("closed", Closed), ("value", ValueError), ("closed", Closed)):
            with pytest.raises(error):
                await plugin.call_async("ask", text)
        assert plugin.metrics().failures == {"Closed": 2, "ValueError": 1}
        assert plugin.metrics().instances == 3

    asyncio.run(main())
