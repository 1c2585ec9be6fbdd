"""Claims about what plugins require of each other: in which order they come and go, and what is refused by name."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stratavm import Trap
from stratavm.base.forms import replace
from stratavm.plugins import Capability, Grant, Manifest, ManifestError, PluginRefused, PluginUnavailable, State
from stratavm.plugins.dependencies import ordered
from stratavm.plugins.ranges import is_range, is_within
from tests.unit.plugins.guests import ECHO, TRAP, manifest, module

HOLDING = Grant(capabilities=["host"], holds=["base", "second", "first", "lower", "upper"])
"""What a plugin is trusted with, so that what it says of others counts for them."""
KINDS = {"echo": "text -> text", "trap": "none -> none"}


def add(host, name, version="1.0.0", **more):
    """A plugin that was found."""
    return host.plugins.add(manifest(name, KINDS, version=version, **more), module(ECHO, TRAP))


def trapped(plugin):
    """The same, failed."""
    with pytest.raises(Trap):
        plugin.call("trap")
    assert plugin.state is State.FAILED


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        ("*", "0.0.1 9.9.9-rc.1", ""),
        (">=1.2, <2", "1.2.0 1.9.9 2.0.0-rc.1", "1.1.9 2.0.0 1.2.0-rc.1"),
        (">= 1.2.3", "1.2.3 1.2.4", "1.2.2 1.2.3-a"),
        ("==1", "1.0.0", "1.0.1 1.0.0-a"),
        ("!=1.5, >1", "1.0.1 1.5.1", "1.5.0 1.0.0"),
        ("<=2.0.0-rc.2", "1.0.0 2.0.0-rc.1 2.0.0-rc.2", "2.0.0-rc.10 2.0.0"),
    ],
)
def test_ranges(wanted, inside, outside):
    """All comparisons hold; numbers that are left out are 0."""
    assert is_range(wanted)
    assert all(is_within(version, wanted) for version in inside.split())
    assert not any(is_within(version, wanted) for version in outside.split())
    assert not is_within("1.0.0", None)


@pytest.mark.parametrize(
    "text",
    ["", "1.2", "~1", ">=", ">=1.2.3.4", ">=01", ">1,", "**", ">=1 <2", 3, None, ">=1.0-", ">=1-a_b", ">=" + "1" * 300],
)
def test_what_is_no_range_is_refused(text):
    """In a manifest by its place."""
    assert not is_range(text)
    read = {"plugin": 1, "name": "a", "version": "1.0.0", "module": "a.wat", "requires": {"b": text}}
    with pytest.raises(ManifestError, match=r"requires\.b: expected a range of versions"):
        Manifest.of(read)


def test_a_manifest_says_it_one_way():
    """And requires nobody by a bad name, nor itself."""
    said = manifest("a", requires={"b": ">=1, <2"}, conflicts={"c": "*"})
    assert Manifest.parse(said.as_json(), "plugin.json") == said
    for name in ("A b", "a"):
        with pytest.raises(ManifestError, match="the name of another plugin"):
            manifest("a", conflicts={name: "*"})


def test_all_are_loaded_behind_what_they_require_and_unloaded_before(host, tmp_path):
    """From a folder, whatever their names are."""
    for name, requires in {"a": {"b": "*", "c": ">=1"}, "b": {"d": "==1"}, "c": {"d": "*"}, "d": {}, "e": {}}.items():
        (tmp_path / f"{name}.plugin.json").write_bytes(manifest(name, KINDS, requires=requires).as_json())
        (tmp_path / f"{name}.wat").write_bytes(module(ECHO, TRAP))
    assert host.plugins.load_all(tmp_path) == {}
    assert [e.plugin for e in host.events.events if type(e).__name__ == "PluginActivated"] == ["d", "b", "c", "a", "e"]
    assert host.plugins.load_all() == {}
    host.events.clear()
    host.plugins.close()
    assert [e.plugin for e in host.events.events if type(e).__name__ == "PluginUnloaded"] == ["e", "a", "c", "b", "d"]


def test_what_is_missing_or_goes_round_is_refused_by_name(host):
    """The others are loaded."""
    add(host, "one", requires={"two": "*"})
    add(host, "two", requires={"three": "*"})
    add(host, "three", requires={"two": "*"})
    add(host, "lost", requires={"nobody": ">=2"})
    add(host, "new", requires={"old": ">=2"})
    add(host, "old")
    assert {name: error.reason for name, error in host.plugins.load_all().items()} == {
        "two": "it requires itself: two requires three requires two",
        "three": "it requires itself: two requires three requires two",
        "one": "it requires two *, which is discovered",
        "lost": "it requires nobody >=2, which is not there",
        "new": "it requires old >=2, and 1.0.0 is there",
    }
    assert [plugin.name for plugin in host.plugins if plugin.state is State.ACTIVE] == ["old"]


def test_a_long_chain_is_no_depth():
    """Nor are many plugins many looks."""
    many = {f"p{i}": manifest(f"p{i}", requires={f"p{i + 1}": "*"}) for i in range(5000)}
    assert ordered(many)[0] == [f"p{i}" for i in reversed(range(5000))]
    many["p4999"] = manifest("p4999", requires={"p0": "*"})
    order, circles = ordered(many)
    assert order == [] and len(circles) == 5000


def test_conflicts_hold_for_both(hosts):
    """Whoever says it, and whoever comes second."""
    host = hosts(grant=HOLDING)
    first = add(host, "first", conflicts={"second": "<2"})
    first.load()
    second = add(host, "second")
    with pytest.raises(PluginRefused, match="instantiate: first conflicts with it"):
        second.load()
    second.unload()
    add(host, "second", version="2.0.0").load()
    third = add(host, "third", conflicts={"first": "*"})
    with pytest.raises(PluginRefused, match=r"it conflicts with first 1\.0\.0"):
        third.load()
    first.unload()
    third.load()


@pytest.mark.parametrize("way", ["load", "update", "rollback"])
def test_of_two_that_conflict_one_comes_first(hosts, way):
    """Also where the other one is loaded while the first is about to begin, or to be what conflicts; where that version
    fails, the other may come."""
    inside, go_on, raised = threading.Event(), threading.Event(), []

    def begin(context):
        inside.set()
        assert go_on.wait(60)
        while raised:
            raise raised.pop()
        return {}

    go_on.set()
    host = hosts(Capability("slow", begin), grant=replace(HOLDING, capabilities=["slow"]))
    kinds = KINDS | {"trap": "none -> none"}
    slow = {"capabilities": ["slow"], "conflicts": {"second": "*"}}
    first = add(host, "first", **(slow if way != "update" else {"capabilities": ["slow"]}))
    step = first.load
    if way != "load":
        first.load()
        newer = manifest("first", kinds, version="1.0.1", **(slow if way == "update" else {"capabilities": ["slow"]}))

        def step():
            first.update_to(newer, module(ECHO, TRAP), how="swap", fresh=True)

    if way == "rollback":  # of a patch whose instance has failed: the code of before gets another one
        changed = TRAP.replace("unreachable", "nop unreachable")
        assert first.update_to(newer, module(ECHO, changed)).kind == "patch"
        trapped(first)
        step = first.rollback
    second = add(host, "second")
    for fails in (True, False) if way != "load" else (False,):
        inside.clear(), go_on.clear()
        if fails:
            raised.append(RuntimeError("not now"))
        outcome = []

        def run(step=step, outcome=outcome):
            try:
                step()
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert inside.wait(60)
            with pytest.raises(PluginRefused, match="first conflicts with it"):
                second.load()
        finally:
            go_on.set()
            thread.join(60)
        assert [type(e) for e in outcome] == ([RuntimeError] if fails else [])
        if fails:
            second.load()
            with pytest.raises(PluginRefused, match=r"it conflicts with second 1\.0\.0"):
                step()
            second.unload()
            second = add(host, "second")
            host.now += 100
    assert first.state is State.ACTIVE


def test_what_is_required_stays(hosts):
    """It is not unloaded under another one, nor updated to what that does not take; back, neither."""
    host = hosts(grant=HOLDING)
    base = add(host, "base", version="1.5.0")
    base.load()
    user = add(host, "user", requires={"base": ">=1, <2"})
    user.load()
    with pytest.raises(PluginRefused, match="unload: required by user"):
        base.unload()
    with pytest.raises(PluginRefused, match="required by user"):
        asyncio.run(base.unload_async())
    other = module(ECHO, TRAP, '(global (export "g") i32 (i32.const 0))')
    newer = manifest("base", KINDS, version="2.0.0")
    with pytest.raises(PluginRefused, match="update: user requires base >=1, <2"):
        base.update_to(newer, other, fresh=True)
    base.update_to(manifest("base", KINDS, version="1.6.0"), other, fresh=True)
    user.unload()
    picky = add(host, "picky", requires={"base": ">=1.6"})
    picky.load()
    with pytest.raises(PluginRefused, match=r"rollback: picky requires base >=1\.6"):
        base.rollback()
    picky.unload()
    base.rollback()
    with pytest.raises(PluginRefused, match="update: it requires nobody"):
        base.update_to(manifest("base", KINDS, version="1.7.0", requires={"nobody": "*"}), other, fresh=True)
    base.unload()


def test_a_stranger_s_manifest_holds_nobody(host):
    """What he says of others counts for himself: he takes no calls where it is not so any more."""
    victim = add(host, "victim")
    liar = add(host, "liar", requires={"victim": "==1"}, conflicts={"other": "*"})
    assert host.plugins.load_all() == {}
    add(host, "other").load()
    assert liar.call("echo", "x") == "x"
    newer = manifest("victim", KINDS, version="1.0.1")
    victim.update_to(newer, module(ECHO, TRAP), how="swap", fresh=True)
    with pytest.raises(PluginUnavailable, match=r"plugin liar requires victim ==1, and 1\.0\.1 is there"):
        liar.call("echo", "x")
    victim.rollback()
    assert liar.call("echo", "x") == "x"
    victim.unload()
    with pytest.raises(PluginUnavailable, match="plugin liar requires victim: plugin victim is unloaded"):
        liar.call("echo", "x")
    with pytest.raises(ManifestError, match="conflicts: expected at most 100 entries"):
        manifest("liar", conflicts={f"p{i}": "*" for i in range(101)})


def test_a_plugin_is_called_while_what_it_requires_can_be(host):
    """What failed is started again by a call of the other; what rests or is shut away is told by name."""
    base, user = add(host, "base"), add(host, "user", requires={"base": "*"})
    host.plugins.load_all()
    trapped(base)
    with pytest.raises(
        PluginUnavailable, match="plugin user requires base: plugin base failed: it is started"
    ) as caught:
        user.call("echo", "x")
    assert caught.value.retry_s > 0 and user.state is State.ACTIVE
    host.now += 100
    assert user.call("echo", "x") == "x" and base.state is State.ACTIVE
    trapped(base)
    host.now += 100
    assert asyncio.run(user.call_async("echo", "x")) == "x"
    trapped(base)
    host.now += 100
    trapped(user)
    host.now += 100
    assert user.call("echo", "y") == "y"  # both
    base.suspend()
    with pytest.raises(PluginUnavailable, match="plugin user requires base: plugin base is suspended"):
        user.call("echo", "x")
    base.resume()
    base.quarantine("it looks odd")
    with pytest.raises(PluginUnavailable, match="plugin user requires base: plugin base is quarantined") as caught:
        asyncio.run(user.call_async("echo", "x"))
    assert caught.value.retry_s is None
    assert user.state is State.ACTIVE
    user.unload()


def test_no_version_leads_into_a_circle(hosts):
    """What runs would hold each other for ever; and whoever closes the host ends all, whoever requires whom."""
    host = hosts(grant=HOLDING)
    lower, upper = add(host, "lower"), add(host, "upper", requires={"lower": "*"})
    lower.load()
    upper.load()
    said = manifest("lower", KINDS, version="1.1.0", requires={"upper": "*"})
    with pytest.raises(PluginRefused, match="it requires itself: lower requires upper requires lower"):
        lower.update_to(said, module(ECHO, TRAP))
    lower._life.version = lower._life.version._replace(package=lower._life.package._replace(manifest=said))
    for plugin in (lower, upper):
        with pytest.raises(PluginRefused, match="required by"):
            plugin.unload()
    host.plugins.close()
    assert {lower.state, upper.state} == {State.UNLOADED}
