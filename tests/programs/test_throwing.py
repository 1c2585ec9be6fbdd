"""C++ that throws and C that jumps (``throwing/``), on every tier, from images and in asynchronous calls."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import stratavm
from stratavm import Config, Engine, Linker, Module, Store, WasmException
from stratavm.module.needs import proposals
from tests.programs.compiled import BUILDS, HERE, Build, CannotCompile, expected, made, make, native

THROWING = [name for name in BUILDS if name.startswith("throwing")]
JUMPING = [name for name in BUILDS if name.startswith("jumping")]
ENGINES = {
    "oracle": {"tier": "oracle"},
    "jit0": {"tier": "jit0"},
    "jit1": {"tier": "jit1"},
    "auto": {"tier": "auto"},
    "auto at once": {"tier": "auto", "lift_after": 0},
    "auto soon": {"tier": "auto", "lift_after": 2},
}
WAYS = [*ENGINES, "image", "asynchronous"]


class Guest:
    """An instance of a module, on one of the ways; its ``env.host`` is ``host``."""

    def __init__(self, way: str, path, host=lambda number: number) -> None:
        options = ENGINES.get(way, {"tier": "jit1"})
        self.engine = Engine(Config(**options))
        self.way, self.host = way, host
        self.out = bytearray()
        self.wasi = stratavm.Wasi(stdout=self.out)
        if way == "image":
            module = Module.deserialize(Module.build(path, Engine(self.engine.config)).serialize(), self.engine)
        else:
            module = Module(path, engine=self.engine)
        self.store = Store(self.engine)
        linker = Linker(self.engine)
        for name, functions in self.wasi.namespaces().items():
            for function, what in functions.items():
                linker.define(name, function, what)
        if way == "asynchronous":
            linker.define("env", "host", self.later)
        else:
            linker.define("env", "host", lambda number: self.host(number))
        self.instance = linker.instantiate(self.store, module)
        self.call("_initialize")

    async def later(self, number: int) -> int:
        """The host function, which the guest waits for."""
        await asyncio.sleep(0)
        found = self.host(number)
        return await found if asyncio.iscoroutine(found) else found

    def call(self, name: str, *arguments: int):
        """Call an export."""
        function = self.instance.exports[name]
        if self.way != "asynchronous":
            return function(*arguments)
        return asyncio.run(function.call_async(*arguments))

    def inner(self, name: str, *arguments: int):
        """Call an export from the host function."""
        function = self.instance.exports[name]
        return function.call_async(*arguments) if self.way == "asynchronous" else function(*arguments)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BUILDS)
def test_it_writes_what_a_native_program_writes(name, way):
    """Destructors, catches by type, what is thrown again and nested; jumps over frames, errors of a parser."""
    guest = Guest(way, HERE / name)
    for _ in range(2):
        guest.out.clear()
        assert guest.call("run") == 0
        assert guest.out.decode() == expected(BUILDS[name].source)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", THROWING)
def test_cpp_throws_through_the_host(name, way):
    """Python sees the exception pass, and may let it; its own errors pass C++ without being caught there."""
    guest = Guest(way, HERE / name)
    guest.host = lambda number: guest.inner("fails", number)
    assert guest.call("through", 5) == 5
    assert guest.call("through", -5) == -1000 - len("number -5")
    assert guest.call("unwound") == 4  # guards in the guest and in what the host called, twice; none is left
    seen = []

    def passes(number):
        try:
            return guest.instance.exports["fails"](number)
        except WasmException as error:
            seen.append(error)
            raise

    if way != "asynchronous":
        guest.host = passes
        assert guest.call("through", -123) == -1000 - len("number -123")
        assert [type(error) for error in seen] == [WasmException]
        assert guest.call("unwound") == 2

    def own(number):
        raise KeyError(number)

    guest.host = own
    with pytest.raises(KeyError):
        guest.call("through", 3)
    guest.store.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", THROWING)
def test_what_cpp_does_not_catch_comes_out(name, way):
    """With its frames; and the guest goes on to work."""
    guest = Guest(way, HERE / name)
    for _ in range(2):
        with pytest.raises(WasmException) as caught:
            guest.call("fails", -1)
        assert any("fails" in note for note in caught.value.__notes__)
        assert guest.call("unwound") == 1  # the guard has gone on the way
    assert guest.call("fails", 7) == 7


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JUMPING)
def test_c_jumps_over_the_host(name, way):
    """Out of a call of the host's, to where the guest was before it."""
    guest = Guest(way, HERE / name)
    guest.host = lambda number: guest.inner("jumps", number)
    assert guest.call("through", 9) == 109
    guest.host = lambda number: number + 1
    assert guest.call("through", 9) == 10


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BUILDS)
def test_many_take_no_memory(name, way, resident):
    """A hundred thousand throws and jumps in one call, each over frames with something to clean up."""
    count = 300 if way == "oracle" else 100_000
    guest = Guest(way, HERE / name)
    each = 4 if name in THROWING else 2
    assert guest.call("many", 2_000 if way != "oracle" else 50) % each == 0
    before, held = resident(), guest.store.bytes_held
    assert guest.call("many", count) == each * count
    assert resident() - before < 4 << 20
    assert guest.store.bytes_held - held < 1 << 20


@pytest.fixture
def resident():
    """Bytes of memory that the process has."""

    def read() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    return read


HARSH = {"STRATA_CHECK": "2", "STRATA_REGS": "4", "STRATA_POISON": "1", "STRATA_POLL": "always"}
"""Every form and allocation verified, few registers, garbage in the dead ones, every poll taken, who holds exceptions
looked at for each."""
SCRIPT = """
import shutil
import subprocess
import sys
from dataclasses import replace
from tests.programs.test_throwing import BUILDS, HERE, Guest, expected
for name in BUILDS:
    guest = Guest(sys.argv[1], HERE / name)
    assert guest.call("run") == 0 and guest.out.decode() == expected(BUILDS[name].source), name
    guest.host = lambda number: guest.inner("fails" if name.startswith("throwing") else "jumps", number)
    print(name, guest.call("through", -5), guest.call("many", 50))
"""


@pytest.mark.trace_slow
@pytest.mark.parametrize("way", ["jit0", "jit1", "auto soon"])
def test_nothing_relies_on_an_easy_life(way, root):
    """Handlers read no register that a callee changed, and keep what they hold."""
    environment = {**os.environ, **HARSH, "PYTHONPATH": f"{root / 'src'}:{root}"}
    command = [sys.executable, "-c", SCRIPT, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    throws, jumps = "-1009 200", "95 100"
    assert done.stdout.splitlines() == [f"{name} {throws if name in THROWING else jumps}" for name in BUILDS]


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("name", BUILDS)
def test_it_compiles_here(name, tmp_path):
    """Where its compiler is: what that makes of the source does the same."""
    why = made(name, tmp_path / name)
    if why:
        pytest.skip(why)
    for way in ("jit0", "jit1"):
        guest = Guest(way, tmp_path / name)
        assert guest.call("run") == 0
        assert guest.out.decode() == expected(BUILDS[name].source)
        assert guest.call("many", 100) == (400 if name in THROWING else 200)


def test_a_source_that_does_not_compile_is_no_lack_of_a_compiler(tmp_path):
    """It fails, where a compiler that has nothing to work with is a reason to skip."""
    build = Build("wrong.c", ("cc",), ("-c",), folder=tmp_path)
    (tmp_path / "wrong.c").write_text("int f(void) { return }")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler of the machine's own")
    with pytest.raises(CannotCompile, match=r"(?s)cc cannot make it: .*(?:expression|expected)"):
        make(build, tmp_path / "wrong")
    assert "cc cannot make it" in make(replace(build, options=("-c", "--no-such-option")), tmp_path / "wrong")
    (tmp_path / "wrong.c").write_text("int f(void) { return 1; }")
    assert make(build, tmp_path / "wrong") == ""


@pytest.mark.parametrize("source", sorted({build.source for build in BUILDS.values()}))
def test_a_native_program_writes_what_is_expected(source, tmp_path):
    """What is kept is what the machine's own compiler makes of the source."""
    found = native(source, tmp_path)
    if found is None:
        pytest.skip("no C++ compiler of the machine's own")
    assert found == expected(source)


def test_what_is_kept_is_what_is_built():
    """No module is left over, none is large: binaries in a repository stay for ever."""
    kept = {path.name: path.stat().st_size for path in HERE.glob("*.wasm")}
    assert set(kept) == set(BUILDS)
    assert all(size < 50_000 for size in kept.values())


def test_the_forms_are_two():
    """Of WebAssembly 3.0, and the earlier one, by their names."""
    for name in BUILDS:
        needed = {str(proposal) for proposal in proposals((HERE / name).read_bytes())}
        assert "exceptions" in needed
        assert ("legacy-exceptions" in needed) == ("legacy" in name)
