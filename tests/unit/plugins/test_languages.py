"""The files of the calling convention, in C, Rust and AssemblyScript: plugins made with them keep to it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import stratavm.plugins
from stratavm.plugins import Capability, ErrorAnswer, Grant, HostFunction, Manifest, PluginLimits, Plugins, Policy
from tests.docs.guests import COMPILERS, SECONDS, compiler

FILES = Path(stratavm.plugins.__file__).parent / "languages"
PARTS = Path(__file__).parent / "languages"
MOST_LINES = 100
WASI = "--target=wasm32-wasi -mexec-model=reactor -O2 -Werror -Wall -Wl,--strip-all"
PLAIN = "--edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -C opt-level=s"
COMMANDS = {
    "c": ("clang", f"{WASI} part.c -o part.wasm"),
    "rs": ("rustc", f"{PLAIN} part.rs -o part.wasm"),
    "ts": ("asc", "part.ts -o part.wasm -O --use abort=strata_plugin/plugin_abort"),
}
FUNCTIONS = {"shout": "text -> text", "echo": "bytes -> bytes", "quiet": "json -> bytes", "ask": "text -> text"}
MORE = {"rs": {"quote": "text -> json"}, "c": {"count": "text -> json"}, "ts": {}}
ROUNDS = 300


def test_each_file_is_short():
    """It is read before it is used."""
    names = {f"strata_plugin.{ending}" for ending in ("h", "rs", "ts")}
    assert {path.name for path in FILES.iterdir()} == names
    for name in names:
        assert len((FILES / name).read_text().splitlines()) <= MOST_LINES


def compiled(language: str, folder: Path) -> bytes:
    """A plugin that a compiler made with the file of its language; skips where there is none."""
    program, options = COMMANDS[language]
    found = compiler(program, folder)
    if found is None:
        pytest.skip(f"no {program} that compiles to WebAssembly: {COMPILERS[program][1]}")
    for source in (*FILES.iterdir(), PARTS / f"part.{language}"):
        shutil.copy(source, folder)
    done = subprocess.run(
        [*found, *options.split()], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return (folder / "part.wasm").read_bytes()


def ask(words):
    """What the host answers."""
    if words == "no":
        raise ErrorAnswer("the host says no")
    return words[::-1]


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("language", COMMANDS)
def test_a_plugin_made_with_the_file_keeps_to_the_convention(language, tmp_path):
    """In all kinds of values, errors, calls of the host, and what is freed."""
    said = {"plugin": 1, "name": "part", "version": "1.0.0", "module": "part.wasm", "capabilities": ["host"]}
    manifest = Manifest.of(said | {"functions": FUNCTIONS | MORE[language]})
    module = compiled(language, tmp_path)
    host = Capability("host", {"ask": HostFunction("text -> text", ask)})
    limits = PluginLimits(call_s=60, memory_bytes=4 << 20, message_bytes=1 << 20)
    with Plugins(Policy({"part": Grant(capabilities=["host"], limits=limits)}), [host]) as plugins:
        plugin = plugins.add(manifest, module)
        plugin.load()
        takes_and_gives_all_kinds(plugin)
        asks_the_host(plugin)
        frees_what_it_was_given(plugin)


def takes_and_gives_all_kinds(plugin):
    """Bytes, text and nothing; errors in words are raised, and it goes on."""
    assert plugin.call("shout", "hello") == "HELLO"
    with pytest.raises(ErrorAnswer, match="nothing to shout"):
        plugin.call("shout", "")
    for data in (b"", b"\0\xff", bytes(range(256)) * 1000):
        assert plugin.call("echo", data) == data
    assert plugin.call("quiet", {"a": [1]}) == b""
    assert plugin._life.instance.exports.echo(0, 0) == 0  # no place: the host frees none


def asks_the_host(plugin):
    """Answers and errors come back."""
    assert plugin.call("ask", "hello") == "olleh"
    assert plugin.call("ask", "") == ""
    with pytest.raises(ErrorAnswer, match="the host says no"):
        plugin.call("ask", "no")
    functions = dict(plugin.manifest.functions)
    if "quote" in functions:
        assert plugin.call("quote", 'a "b"\n\\ü') == 'a "b"\n\\ü'
    if "count" in functions:
        assert plugin.call("count", "x") == [1]
        with pytest.raises(ErrorAnswer, match="the host refused"):
            plugin.call("count", "no")


def frees_what_it_was_given(plugin):
    """After hundreds of calls with 60,000 bytes its memory is no larger than after a few."""
    data, text = bytes(60_000), "x" * 60_000
    for round in range(ROUNDS):
        assert plugin.call("echo", data) == data
        assert plugin.call("ask", text) == text
        if round == 20:
            held = plugin.metrics().memory_bytes
    assert plugin.metrics().memory_bytes == held
