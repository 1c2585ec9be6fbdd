"""Guests that collect their garbage and were not made for this: what they print, another engine prints as well.

MoonBit's programs are compiled here, Kotlin's and the splay tree are Sightglass's, binary-trees and GCBench are written
as text. Where a compiler, a guest or a node with WasmGC is missing the test says so and skips.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from stratavm.base.errors import ExitError
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import ALL
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.wasi import Wasi
from tests import needed, witnesses
from tests.programs import outside

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
COMPILED: Final = TIERS[1:]
WATS: Final = Path(__file__).parents[1] / "bench" / "collected"
SPLAY: Final = """[splay] tree size: 8000
[splay] samples: 450
[splay] verified
"""
RICHARDS: Final = """[kotlin-richards] iterations: 120
[kotlin-richards] queue count: 278640
[kotlin-richards] hold count: 111360
[kotlin-richards] verified
"""
"""What Sightglass expects of its own inputs."""
PUBLISHED: Final = {
    "splay": ("splay.wasm", "8000,540,5", SPLAY),
    "Kotlin": ("kotlin-richards.wasm", "120", RICHARDS),
}
SMALL: Final = {"splay": ("splay.wasm", "40,8,2"), "Kotlin": ("kotlin-richards.wasm", "2")}


def engine(tier: str) -> Engine:
    """An engine of one tier that has objects of guests."""
    return Engine(Config(tier=tier, strict=tier != "oracle", features=ALL))


def by_node(how: str, module: Path, *rest: object) -> str:
    """What it prints there."""
    command = [witnesses.node(), "--no-warnings", outside.HERE / "run.cjs", how, module, *map(str, rest)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- MoonBit ----


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The programs."""
    return outside.compile_all(tmp_path_factory.mktemp("moonbit"))


def test_a_library_that_is_compiled_is_spoken_of_and_takes_no_longer_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one that was kept nothing is said; and what takes too long ends with what to do."""
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\nexec sleep 60\n")
    node.chmod(0o755)
    compiler = outside.Compiler.__new__(outside.Compiler)
    compiler.node, compiler.kept, compiler.script, compiler.root = node, tmp_path, tmp_path, tmp_path
    compiler.needs = {"core/list": {}}
    compiler.packages = {"core/list": {"files": {}, "root-path": ""}}
    monkeypatch.setattr(outside, "COMPILING_S", 0.2)
    for said in ("compiling 1 package of the library, which takes a minute or two", ""):
        with pytest.raises(RuntimeError, match=r"^app: not compiled in 0\.2 s; .* try again$"):
            compiler.compile({}, ["core/list"], tmp_path / "app.wasm")
        out, err = capsys.readouterr()
        assert out == "" and err.startswith(said) and bool(err) is bool(said)
        (tmp_path / "core+list.core").touch()


def printed(tier: str, binary: bytes) -> str:
    """What a program of MoonBit prints."""
    text: list[str] = []
    with Store(engine(tier)) as store:
        linker = Linker(store.engine)
        linker.define("spectest", "print_char", lambda code: text.append(chr(code)))
        linker.instantiate(store, Module(binary, store.engine)).exports["_start"]()
    return "".join(text)


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("name", outside.PROGRAMS)
def test_moonbit_prints_what_it_prints_on_node(name: str, compiled: dict[str, Path]) -> None:
    """Traits, closures, errors; collections of its library; numbers without end, JSON."""
    expected = by_node("print", compiled[name])
    assert expected.count("\n") > 6
    for tier in TIERS:
        assert printed(tier, compiled[name].read_bytes()) == expected, tier


@pytest.mark.slow
@pytest.mark.trace_slow
def test_a_program_of_somebody_else_is_compiled_beside_its_source(tmp_path: Path, monkeypatch: Any) -> None:
    """As the page on guests' objects says, and what it prints is there."""
    if not outside.is_here():
        pytest.skip("no compiler of MoonBit")
    (tmp_path / "app.mbt").write_text('fn main {\n  println(["hello", "from", "MoonBit"].join(" "))\n}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["outside", "--compile", "app.mbt"])
    assert outside.main() == 0
    assert printed("auto", (tmp_path / "app.wasm").read_bytes()) == "hello from MoonBit\n"


def test_tests_of_a_library_that_did_not_run_are_no_success(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Where the compiler refuses them, and where there are none of that name."""

    class Refuses:
        def tested(self) -> list[str]:
            return ["moonbitlang/core/list"]

        def tests(self, name: str, path: Path) -> None:
            raise RuntimeError("unbound")

    monkeypatch.setattr(outside, "Compiler", Refuses)
    monkeypatch.setattr(outside, "is_here", lambda: True)
    for only in ("list", "string"):
        monkeypatch.setattr("sys.argv", ["outside", "--only", only])
        assert outside.main() == 1
        assert capsys.readouterr().out.endswith("0 packages ran, 0 of them came to something else\n")


# ---- Sightglass ----


def guest(name: str) -> bytes:
    """A guest's module."""
    return witnesses.core_module(witnesses.needed("sightglass", name).read_bytes())


@contextmanager
def world(folder: Path, output: bytearray) -> Iterator[Wasi]:
    """What it is given."""
    with Wasi(args=["guest"], stdout=output, preopens={str(folder): ("/", "rw")}) as wasi:
        yield wasi


def ours(tier: str, binary: bytes, folder: Path) -> str:
    """What a command prints."""
    output, on = bytearray(), engine(tier)
    linker = Linker(on)
    for mark in ("start", "end"):
        linker.define("bench", mark, lambda: None)
    with Store(on) as store, world(folder, output) as wasi:
        linker.define_namespaces(wasi.namespaces())
        try:
            linker.instantiate(store, Module(binary, on)).exports["_start"]()
        except ExitError as stop:
            assert stop.code == 0
    return output.decode()


def theirs(binary: bytes, folder: Path) -> str:
    """What it prints on wasmtime."""
    wasmtime = needed.module("wasmtime")
    on = wasmtime_engine(wasmtime)
    linker, store, config = wasmtime.Linker(on), wasmtime.Store(on), wasmtime.WasiConfig()
    linker.define_wasi()
    for mark in ("start", "end"):
        linker.define_func("bench", mark, wasmtime.FuncType([], []), lambda: None)
    config.preopen_dir(str(folder), "/")
    config.stdout_file = str(folder / "output")
    store.set_wasi(config)
    linker.instantiate(store, wasmtime.Module(on, binary)).exports(store)["_start"](store)
    return (folder / "output").read_text()


def wasmtime_engine(wasmtime: Any) -> Any:
    """An engine of theirs that has what these guests use."""
    config = wasmtime.Config()
    config.wasm_gc = config.wasm_function_references = config.wasm_exceptions = True
    return wasmtime.Engine(config)


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_guests_of_sightglass_print_what_it_expects(name: str, tmp_path: Path) -> None:
    """With its own inputs: a splay tree that goes on and on, Richards' scheduler in Kotlin."""
    file, given, expected = PUBLISHED[name]
    binary = guest(file)
    (tmp_path / "default.input").write_text(given)
    for tier in COMPILED:
        assert ours(tier, binary, tmp_path) == expected, tier


@pytest.mark.parametrize("name", SMALL)
def test_guests_of_sightglass_print_the_same_everywhere(name: str, tmp_path: Path) -> None:
    """With little to do: on each tier, on node, and on wasmtime."""
    file, given = SMALL[name]
    binary = guest(file)
    (tmp_path / "default.input").write_text(given)
    (tmp_path / "guest.wasm").write_bytes(binary)
    expected = by_node("wasi", tmp_path / "guest.wasm", tmp_path)
    assert "verified" in expected
    assert theirs(binary, tmp_path) == expected
    for tier in TIERS:
        assert ours(tier, binary, tmp_path) == expected, tier


# ---- written as text ----


def size(depth: int) -> int:
    """Nodes of a tree."""
    return (2 << depth) - 1


def of_binary_trees(most: int) -> int:
    """What the counts of all its trees come to."""
    total = size(most + 1)
    for depth in range(4, most + 1, 2):
        total = total * 31 + (1 << most - depth + 4) * size(depth)
    return total * 31 + size(most)


def of_gcbench(stretch: int, long: int, length: int) -> int:
    """How many nodes it makes, whatever the length of its array."""
    each = (2 * (2 * size(stretch) // size(depth)) * size(depth) for depth in range(4, stretch - 1, 2))
    return size(stretch) + size(long) + sum(each)


WRITTEN: Final[dict[str, tuple[Callable[..., int], tuple[int, ...], tuple[int, ...]]]] = {
    "binary-trees": (of_binary_trees, (6,), (10,)),
    "gcbench": (of_gcbench, (6, 4, 2100), (10, 8, 50_000)),
}
"""What it should come to; little to do, for the oracle too; and more."""


@pytest.mark.parametrize("name", WRITTEN)
def test_it_makes_as_many_nodes_as_it_should(name: str) -> None:
    """Which is a matter of arithmetic."""
    expected, little, more = WRITTEN[name]
    binary = parse_wat_to_bytes((WATS / f"{name}.wat").read_text())
    for tier in TIERS:
        with Store(engine(tier)) as store:
            run = Linker(store.engine).instantiate(store, Module(binary, store.engine)).exports["run"]
            for given in (little,) if tier == "oracle" else (little, more):
                assert run(*given) == expected(*given), (tier, given)


@pytest.mark.parametrize("name", WRITTEN)
def test_it_comes_to_the_same_on_wasmtime(name: str) -> None:
    """The same number."""
    wasmtime = needed.module("wasmtime")
    expected, _, given = WRITTEN[name]
    on = wasmtime_engine(wasmtime)
    store = wasmtime.Store(on)
    binary = parse_wat_to_bytes((WATS / f"{name}.wat").read_text())
    instance = wasmtime.Instance(store, wasmtime.Module(on, binary), [])
    assert instance.exports(store)["run"](store, *given) == expected(*given)


@pytest.mark.parametrize("name", WRITTEN)
def test_it_comes_to_the_same_on_node(name: str, tmp_path: Path) -> None:
    """The same number."""
    expected, _, given = WRITTEN[name]
    path = tmp_path / "guest.wasm"
    path.write_bytes(parse_wat_to_bytes((WATS / f"{name}.wat").read_text()))
    assert int(by_node("call", path, "run", *given)) == expected(*given)


def test_the_module_of_a_component_is_its_first() -> None:
    """Behind sections of other kinds; a module is its own."""
    module = parse_wat_to_bytes("(module (func))")
    component = witnesses.COMPONENT + b"\7\2ab" + bytes((witnesses.CORE_MODULE, len(module))) + module + b"\0\0"
    assert witnesses.core_module(component) == module == witnesses.core_module(module)
    with pytest.raises(ValueError, match=r"^a component without a module$"):
        witnesses.core_module(witnesses.COMPONENT + b"\7\2ab")
