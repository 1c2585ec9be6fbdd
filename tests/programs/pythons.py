"""CPython 3.15 with numpy, pandas, scipy, scikit-learn and matplotlib in a module with 74 MB of code, and what the
scripts of ``scientific`` print on wasmtime, kept beside them: ``python -m tests.programs.pythons`` makes it again, or
that of the scripts that it is given; ``--image FILE`` keeps what wasmtime compiled for the next time.

Compiling the module takes wasmtime more than a minute on two processors, so the tests compare with what is kept.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import stratavm
from tools import programs

MODULE: Final = "python-snapshot.wasm"
HERE: Final = Path(__file__).with_name("scientific")
LIBRARY: Final = "/usr/local/lib"
ENVIRONMENT: Final = {"TMPDIR": "/tmp", "PYTHONTZPATH": "", "HOME": "/tmp"}
SCRIPTS: Final = ("language", "arrays", "frames", "science", "picture", "doctests")
LANGUAGE: Final = (
    "archives",
    "calendars",
    "classes",
    "coroutines",
    "database",
    "grammar",
    "ledger",
    "machines",
    "mails",
    "networks",
    "primes",
    "puzzles",
    "settings",
    "texts",
)
"""Longer programs, of the standard library."""
SCIENCE: Final = (
    "charts",
    "filters",
    "groups",
    "images",
    "learning",
    "moments",
    "sales",
    "samples",
    "signals",
    "solving",
)
"""So too, of numpy, pandas, scipy, scikit-learn and matplotlib."""


def library(module: Path, folder: Path) -> dict[str, str]:
    """The folders that the interpreter is given, each with its name there: its library, which is one archive, and
    matplotlib's fonts and settings, which it reads as files."""
    whole, data = folder / "lib", folder / "data"
    whole.mkdir()
    shutil.copyfile(module.with_name("python-stdlib.zip"), whole / "python315.zip")
    with zipfile.ZipFile(whole / "python315.zip") as archive:
        zipfile.ZipFile(io.BytesIO(archive.read("matplotlib/mpl-data.zip"))).extractall(data)
    return {str(whole): LIBRARY, str(data): f"{LIBRARY}/python315.zip/matplotlib/mpl-data", str(HERE): "/scripts"}


class Guest:
    """An interpreter on Strata: ``run`` is a whole program, ``turn`` a piece of one.

    Args:
        module: the file.
        folders: what ``library`` gave.
        temporary: an empty folder that it may write.
        arguments: the program's.
        answer: what its host says to a request, if it has one.
        options: of ``stratavm.load``.
    """

    def __init__(
        self,
        module: Path,
        folders: Mapping[str, str],
        temporary: Path,
        arguments: tuple[str, ...] = (),
        answer: Callable[[bytes], bytes] | None = None,
        **options: Any,
    ) -> None:
        self.output, self.errors = bytearray(), bytearray()
        self.answer = answer
        given: dict[Any, Any] = {**folders, str(temporary): ("/tmp", "rw")}
        names = ["python.wasm", *arguments]
        streams = {"stdout": self.output, "stderr": self.errors}
        self.world = stratavm.Wasi(args=names, env=ENVIRONMENT, preopens=given, **streams)
        imports = {**self.world.namespaces(), "host": {"call": self.call}}
        self.exports = stratavm.load(str(module), imports=imports, **options).exports

    def call(self, caller: stratavm.Caller, request: int, size: int, where: int, length: int) -> int:
        """The import: the answer lies where the guest's own allocator puts it, which is called within the call."""
        if self.answer is None:
            return -1
        answer = self.answer(bytes(caller.memory.read(request, size)))
        address = self.place(answer)
        caller.memory.write(where, address.to_bytes(4, "little"))
        caller.memory.write(length, len(answer).to_bytes(4, "little"))
        return 0

    def place(self, data: bytes) -> int:
        """Bytes in the guest's memory, in room of its own."""
        address = int(self.exports.host_alloc(len(data))) & 0xFFFFFFFF
        self.exports.memory.write(address, data)
        return address

    def run(self) -> int:
        """A whole program: its exit code."""
        return self.ends(self.exports.run)

    def turn(self, source: str) -> int:
        """A piece of a program: below 256 its status, above that the guest wants to end."""
        data = source.encode()
        return self.ends(self.exports.turn, self.place(data), len(data))

    @staticmethod
    def ends(function: Callable[..., int], *arguments: int) -> int:
        """A call's result, or the code that the program ended with."""
        try:
            return function(*arguments)
        except stratavm.ExitError as end:
            return end.code


def main() -> int:
    """Run the scripts on wasmtime and keep what they print; 1 if one does not end well.

    Raises:
        RuntimeError: the package is not installed.
    """
    import wasmtime

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", default=[*SCRIPTS, *LANGUAGE, *SCIENCE])
    parser.add_argument("--image", type=Path, help="where the compiled module is kept; read where it is there")
    options = parser.parse_args()
    module = programs.find(MODULE)
    if module is None:
        raise RuntimeError(f"{MODULE} is not installed: `make venv`")
    config = wasmtime.Config()
    config.wasm_exceptions = True
    engine = wasmtime.Engine(config)
    if options.image is not None and options.image.is_file():
        compiled = wasmtime.Module.deserialize_file(engine, str(options.image))
    else:
        compiled = wasmtime.Module.from_file(engine, str(module))
        if options.image is not None:
            options.image.write_bytes(compiled.serialize())
    number = wasmtime.ValType.i32()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = library(module, folder)
        for script in options.scripts:
            temporary = folder / script
            temporary.mkdir()
            linker, store, world = wasmtime.Linker(engine), wasmtime.Store(engine), wasmtime.WasiConfig()
            linker.define_wasi()
            linker.define_func("host", "call", wasmtime.FuncType([number] * 4, [number]), lambda *_: -1)
            world.argv = ["python.wasm", f"/scripts/{script}.py"]
            world.env = list(ENVIRONMENT.items())
            world.stdout_file = str(HERE / f"{script}.txt")
            world.inherit_stderr()
            for host, guest in {**folders, str(temporary): "/tmp"}.items():
                world.preopen_dir(host, guest)
            store.set_wasi(world)
            code = linker.instantiate(store, compiled).exports(store)["run"](store)
            print(script, code)
            failed |= code
    return int(failed != 0)


if __name__ == "__main__":
    raise SystemExit(main())
