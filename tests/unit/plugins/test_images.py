"""Claims about plugins whose modules are images: their code runs if this user built it, and is compiled otherwise."""

from __future__ import annotations

import pytest

from stratavm import DecodeError, Module, ResourceLimit, UpdateRefused
from stratavm.engine.aot import BuiltCodeRefused, BuiltCodeUsed
from stratavm.plugins import Grant, PluginLimits, PluginRefused, State
from stratavm.plugins.manifest import digest_of
from stratavm.testing import EventRecorder
from stratavm.tiers.events import FunctionCompiled
from tests.unit.plugins.guests import COUNT, ECHO, manifest, module
from tests.unit.plugins.test_updates import EXPORT, GUEST, KINDS, MIGRATE, MORE

WARM = '(func (export "warm") (global.set $count (i32.const 5)))'
GROWS = '(func (export "warm") (drop (memory.grow (i32.const 100))))'
NEWER = (COUNT.replace("(i32.const 48)", "(i32.const 64)"), EXPORT, MIGRATE)


def image(*body, key=None, **options):
    """An image of a plugin."""
    return Module.build(module(*body), **options).serialize(key=key)


def said(version="1.0.0", **more):
    """Its manifest."""
    return manifest(version=version, module="guest.strata", functions=KINDS, **more)


class Code:
    """What becomes of the code of images in an engine."""

    def __init__(self, host):
        self.bus = host.plugins.engine.bus
        self.heard = EventRecorder(self.bus)

    def __call__(self):
        self.bus.drain()
        found = [type(e) for e in self.heard.events if isinstance(e, BuiltCodeUsed | BuiltCodeRefused)]
        compiled = sum(isinstance(e, FunctionCompiled) for e in self.heard.events)
        self.heard.clear()
        return found, compiled


@pytest.fixture
def files(home, monkeypatch):
    """A key of this user's, and images in a folder; nothing else is kept."""
    monkeypatch.setenv("STRATA_CACHE", "off")
    folder = home / "guest"
    folder.mkdir()

    class Files:
        def write(self, data, **more):
            (folder / "guest.strata").write_bytes(data)
            (folder / "plugin.json").write_bytes(said(**more).as_json())
            return folder

    return Files()


def test_an_image_that_this_user_built_runs_without_compiling(hosts, files):
    """As a file beside its manifest; what it answers is what the binary does."""
    host = hosts()
    code = Code(host)
    plugin = host.plugins.load(files.write(image(*GUEST)))
    assert [plugin.call("count") for _ in range(3)] == ["1", "2", "3"]
    assert code() == ([BuiltCodeUsed], 0)
    plugin.unload()
    assert plugin.metrics().owned == {}


@pytest.mark.parametrize("whose", ["another's", "nobody's", "other engine"])
def test_code_that_may_not_run_is_compiled_of_the_binary(hosts, files, whose):
    """A stranger's mark, none, or code for engines with other options: an event says so, and the plugin works."""
    host = hosts(grant=Grant(limits=PluginLimits(fuel=10**6))) if whose == "other engine" else hosts()
    code = Code(host)
    data = image(*GUEST, key=b"x" * 32 if whose == "another's" else None)
    if whose == "nobody's":  # the mark lies at the end of the head
        other = image(*GUEST, key=b"y" * 32)
        at = next(i for i, (a, b) in enumerate(zip(data, other, strict=True)) if a != b)
        data = data[:at] + other[at:]
    plugin = host.plugins.load(files.write(data))
    assert [plugin.call("count") for _ in range(2)] == ["1", "2"]
    kinds, compiled = code()
    assert kinds == [BuiltCodeRefused] and compiled >= 2


@pytest.mark.parametrize("cut", [8, 200, -1])
def test_a_damaged_image_is_refused(hosts, files, cut):
    """As a plugin that failed, with the words of the image's reader; a byte that was changed is noticed, too."""
    host = hosts()
    data = image(ECHO, COUNT)
    with pytest.raises(DecodeError):
        host.plugins.load(files.write(data[:cut]))
    changed = bytearray(data)
    changed[data.rindex(b"\0asm") + 40] ^= 1
    plugin = host.plugins.add(said(), bytes(changed))
    with pytest.raises(DecodeError):
        plugin.load()
    assert plugin.state is State.FAILED
    plugin.unload()
    assert plugin.metrics().owned == {}


def test_the_digest_is_that_of_the_file(hosts, files):
    """Of the manifest and of the grant; that of the binary in it is another one, and names no image."""
    data = image(*GUEST)
    binary = Module(module(*GUEST)).model.binary
    host = hosts(grant=Grant(digests=[digest_of(data)]))
    assert host.plugins.load(files.write(data, digest=digest_of(data))).call("count") == "1"
    host = hosts(grant=Grant(digests=[digest_of(binary)]))
    with pytest.raises(PluginRefused, match="which the grant does not name"):
        host.plugins.load(files.write(data))
    with pytest.raises(PluginRefused, match="the manifest names"):
        hosts().plugins.load(files.write(data, digest=digest_of(binary)))


def test_what_an_image_begins_with_is_what_each_instance_begins_with(hosts, files):
    """Also after a failure; its memory counts as the plugin's."""
    host = hosts()
    trap = '(func (export "trap") (param i32 i32) (result i64) unreachable)'
    kinds = KINDS | {"trap": "none -> none"}
    plugin = host.plugins.add(manifest(functions=kinds), image(*GUEST, WARM, trap, init="warm"))
    plugin.load()
    assert [plugin.call("count") for _ in range(2)] == ["6", "7"]
    with pytest.raises(Exception, match="unreachable"):
        plugin.call("trap")
    host.now += 10
    assert plugin.call("count") == "6"
    grown = image(*GUEST, GROWS, init="warm")
    host.plugins.add(manifest("large", KINDS, module="guest.strata"), grown).load()
    small = hosts(grant=Grant(limits=PluginLimits(memory_bytes=1 << 20)))
    plugin = small.plugins.add(said(), grown)
    with pytest.raises(ResourceLimit):
        plugin.load()
    assert plugin.state is State.FAILED and "instance" not in plugin.metrics().owned


def test_versions_may_be_images(hosts, files):
    """Patched by the binary in them, whosever their code is; where one says what its instances begin with, another
    instance is made, so that later ones begin so, too."""
    host = hosts()
    plugin = host.plugins.load(files.write(image(*GUEST)))
    assert plugin.call("count") == "1"
    assert plugin.update(files.write(image(*NEWER, key=b"z" * 32), version="1.1.0")).kind == "patch"
    assert plugin.call("count") == "B"
    assert plugin.update_to(manifest(version="1.2.0", functions=KINDS), module(*NEWER)).kind == "none"
    plugin.rollback()
    assert (plugin.call("count"), plugin.manifest.version) == ("C", "1.1.0")
    begun = image(*NEWER, WARM, init="warm")
    plan = plugin.update_to(said("1.3.0"), begun, dry_run=True)
    assert (plan.kind, plan.obstacles) == ("swap", ())
    assert "an image says what its instances begin with" in plan.reasons
    assert plugin.update_to(said("1.3.0"), begun).kind == "swap"
    assert plugin.call("count") == "D"  # what it had counted goes over
    assert plugin.update_to(said("1.4.0"), begun, fresh=True).kind == "swap"
    assert plugin.call("count") == "F"
    with pytest.raises(DecodeError):
        plugin.update_to(said("1.5.0"), begun[:-100])
    with pytest.raises(UpdateRefused, match="no export-state"):
        host.plugins.add(manifest("other", KINDS), module(COUNT)).load()
        host.plugins["other"].update_to(manifest("other", KINDS), image(COUNT, MORE))
    assert plugin.call("count") == "G"


def test_a_file_of_an_image_is_recognised_by_its_first_bytes(hosts, files):
    """Whatever it is called; one that only begins as one is refused by the decoder."""
    host = hosts()
    plugin = host.plugins.add(manifest(functions=KINDS), image(*GUEST))
    plugin.load()
    assert plugin.call("count") == "1"
    script = host.plugins.add(manifest("script", module="script.strata"), b"#!/bin/sh\necho\n")
    with pytest.raises(DecodeError):
        script.load()
