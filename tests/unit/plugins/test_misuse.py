"""Claims about what hosts get wrong: each is refused where it comes in, in words, and closed plugins stay closed."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from stratavm import Closed, Engine
from stratavm.plugins import Capability, Grant, HostFunction, PluginRefused, Plugins, Policy
from stratavm.plugins.convention import ConventionBroken, decode
from tests.unit.plugins.guests import ECHO, TRAP, manifest, module

MODULE = module(ECHO)
KINDS = {"echo": "text -> text"}
ANY = Policy({}, Grant())


def deep(depth=100_000):
    """A list in a list in a list."""
    found = []
    for _ in range(depth):
        found = [found]
    return found


def flat(nested):
    """Let it go without recursion."""
    while nested:
        nested = nested.pop()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Grant(wasi="yes"), TypeError, "wasi must be True or False"),
        (lambda: Grant(capabilities=[1]), ValueError, "a name such as"),
        (lambda: Grant(holds=["A b"]), ValueError, "a name such as"),
        (lambda: Grant(env="A"), TypeError, "env must be a mapping"),
        (lambda: Grant(env=5), TypeError, "env must be a mapping"),
        (lambda: Grant(env={"A": 1}), ValueError, "env must be names and texts"),
        (lambda: Grant(env={"A=B": "x"}), ValueError, "env must be names and texts"),
        (lambda: Grant(env={"A": "x\0y"}), ValueError, "without NUL"),
        (lambda: Grant(folders="x"), TypeError, "folders must be a mapping"),
        (lambda: Grant(folders={"a": "b"}), ValueError, "absolute paths in the guest"),
        (lambda: Grant(folders={"/a/..": "b"}), ValueError, "absolute paths in the guest"),
        (lambda: Policy("shout"), TypeError, "grants must be a mapping"),
        (lambda: Plugins(Policy({}), "log"), TypeError, "must be Capability objects, got 'l'"),
        (lambda: Plugins(Policy({}), timeouts=1), TypeError, "timeouts must be Timeouts"),
        (lambda: Plugins(Policy({}), recovery=1), TypeError, "recovery must be Recovery"),
        (lambda: Plugins(Policy({}), clock=1), TypeError, "clock must be a function"),
        (lambda: Plugins(Policy({}), chance=0.5), TypeError, "chance must be a function"),
        (lambda: Capability("a", "b"), TypeError, "functions must be a mapping"),
        (lambda: Capability("a", {1: HostFunction("raw", print)}), TypeError, "must be a string, got 1"),
    ],
)
def test_what_is_none_is_refused_where_it_comes_in(make, error, words):
    """By its name."""
    with pytest.raises(error, match=words):
        make()


def test_plugins_refuse_what_is_no_plugin(host):
    """And give no number ten gigabytes of zeros."""
    plugin = host.load(ECHO, echo="text -> text")
    said = manifest(functions=KINDS)
    for call in (
        lambda: host.plugins.add("x", MODULE),
        lambda: host.plugins.add(manifest("other", KINDS), 10**10),
        lambda: plugin.update_to("x", MODULE),
        lambda: plugin.update_to(said, 10**10),
        lambda: host.plugins.load_from("x", "y"),
        lambda: plugin.unload("x"),
    ):
        with pytest.raises(TypeError, match=r"^\w+ must be "):
            call()
    with pytest.raises(ValueError, match="seconds must be a number of seconds, got nan"):
        plugin.unload(float("nan"))
    assert plugin.call("echo", "x") == "x"


def test_a_path_that_is_not_there_is_told(host, tmp_path):
    """By the two that look for plugins; one that has none is no mistake."""
    for look in (host.plugins.discover, host.plugins.load_all):
        with pytest.raises(FileNotFoundError):
            look(tmp_path / "none")
    assert host.plugins.discover(tmp_path) == []
    assert host.plugins.load_all(tmp_path) == {}
    assert host.said == []


@pytest.mark.parametrize("kind", ["text", "json"])
def test_half_of_a_surrogate_pair_is_no_text(host, kind):
    """Said in words that name the function."""
    plugin = host.load(ECHO, echo=f"{kind} -> {kind}")
    with pytest.raises(ValueError, match=f"guest.echo takes {kind}: half of a surrogate pair"):
        plugin.call("echo", "ab\ud800")
    assert plugin.call("echo", "ab") == "ab"


def test_json_is_as_deep_and_as_large_as_it_can_be_said(host):
    """In both directions: what cannot be is refused as no value of its kind."""
    nested = deep()
    plugin = host.load(ECHO, echo="json -> json")
    with pytest.raises(ValueError, match="nested too deeply"):
        plugin.call("echo", nested)
    with pytest.raises(ValueError, match="nested too deeply"):
        host.plugins.add(manifest("other", KINDS), MODULE, nested)
    flat(nested)
    for data in (b"1e999", b"-1e999", b"[1, 2e400]"):
        with pytest.raises(ConventionBroken, match="is out of range"):
            decode("json", data)
    assert decode("json", b"[1e300, -2.5, 0.1]") == [1e300, -2.5, 0.1]
    assert plugin.call("echo", [1e300, 0.1]) == [1e300, 0.1]


def test_what_the_convention_says_is_not_for_a_manifest_to_say():
    """A module whose ``plugin_alloc`` is no such function does not pass for one."""
    from stratavm import Module
    from stratavm.plugins.fitting import misfit
    from stratavm.plugins.limits import PluginLimits

    odd = MODULE.replace(b'(func $alloc (export "plugin_alloc")', b"(func $alloc").replace(
        b"(func $pack", b'(func (export "plugin_alloc") (param i32 i32) (result i64) (i64.const 0)) (func $pack', 1
    )
    said = manifest(functions=KINDS)
    object.__setattr__(said, "functions", (*said.functions, ("plugin_alloc", said.functions[0][1])))
    assert "plugin_alloc" in misfit(Module(odd), said, PluginLimits())


def test_closed_plugins_take_nothing(tmp_path: Path):
    """Nobody would end what comes: no plugin, and no thread."""
    (tmp_path / "plugin.json").write_bytes(manifest("late", KINDS).as_json())
    (tmp_path / "late.wat").write_bytes(MODULE)
    with Engine() as engine:
        plugins = Plugins(ANY, engine=engine)
        early = plugins.add(manifest("early", KINDS), MODULE)
        plugins.close()
        threads = threading.active_count()
        for call in (
            lambda: plugins.add(manifest("late", KINDS), MODULE),
            lambda: plugins.load(tmp_path),
            lambda: plugins.load_all(tmp_path),
            lambda: plugins.probing(0.05),
        ):
            with pytest.raises(Closed, match="these plugins are closed"):
                call()
        with pytest.raises(PluginRefused):
            early.load()
        assert threading.active_count() <= threads  # others' may end meanwhile
        plugins.close()
        assert list(plugins) == []
    gc.collect()


@pytest.mark.parametrize("way", ["loaded", "patched", "swapped"])
def test_a_trap_names_the_plugin(host, way):
    """In its frames, whichever way its module came: ``guest!trap``."""
    from stratavm import Trap

    plugin = host.load(ECHO, TRAP, echo="text -> text", trap="none -> none")
    said = manifest(functions={"echo": "text -> text", "trap": "none -> none"})
    if way == "patched":
        plugin.update_to(said, module(ECHO, TRAP.replace("unreachable", "nop unreachable")))
    elif way == "swapped":
        plugin.update_to(said, module(ECHO, TRAP.replace("unreachable", "nop nop unreachable")), how="swap", fresh=True)
    with pytest.raises(Trap) as caught:
        plugin.call("trap")
    assert str(caught.value.frames[0]).startswith("guest!"), caught.value.frames
