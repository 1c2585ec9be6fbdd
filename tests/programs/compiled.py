"""C++ that throws and C that jumps: sources, the commands that compile them, and what they make, which is kept beside
the sources for the machines without these compilers. ``python -m tests.programs.compiled`` makes it again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).with_name("throwing")
SECONDS: Final = 240
"""For one compilation; an emscripten that has to make its C library first does not get ready."""
EMSCRIPTEN: Final = ("--no-entry", "-sSTANDALONE_WASM", "-sFILESYSTEM=0", "-sERROR_ON_UNDEFINED_SYMBOLS=0")
WASI: Final = ("--target=wasm32-wasi", "-mexec-model=reactor", "-mllvm", "-wasm-enable-sjlj", "-Wl,--strip-all")


EMPTY: Final = "int nothing;\n"
"""What a compiler that has all its parts makes a module of."""


class CannotCompile(Exception):
    """The sources, or the options, are wrong."""


@dataclass(frozen=True, slots=True)
class Build:
    """How a module is made."""

    source: str
    compilers: tuple[str, ...]
    """By name, the first that works is taken."""
    options: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    packages: str = "apt install emscripten"
    folder: Path = HERE
    empty: str = EMPTY

    def command(self, compiler: str, source: Path, result: Path) -> list[str]:
        """What makes it."""
        return [compiler, "-O2", *self.options, str(source), *self.libraries, "-o", str(result)]


CLANGS: Final = ("clang", *(f"clang-{version}" for version in range(30, 16, -1)))
BUILDS: Final = {
    "throwing.wasm": Build("throwing.cpp", ("em++",), ("-fwasm-exceptions", "-sWASM_EXNREF=1", *EMSCRIPTEN)),
    "throwing-legacy.wasm": Build("throwing.cpp", ("em++",), ("-fwasm-exceptions", *EMSCRIPTEN)),
    "jumping.wasm": Build("jumping.c", ("emcc",), ("-sSUPPORT_LONGJMP=wasm", "-sWASM_EXNREF=1", *EMSCRIPTEN)),
    "jumping-legacy.wasm": Build(
        "jumping.c", CLANGS, WASI, ("-lsetjmp",), "apt install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32"
    ),
}
"""What is kept → how it was made: C++ by emscripten, C by emscripten and by clang with WASI's C library; in the form of
WebAssembly 3.0, and in the earlier one."""


def made(name: str, result: Path) -> str:
    """Compile a module; gives why it could not be, or nothing.

    Raises:
        CannotCompile: a compiler that makes a program of nothing makes none of the source.
    """
    return make(BUILDS[name], result)


def make(build: Build, result: Path) -> str:
    """``made``, of what is built like that."""
    why = f"no {build.compilers[0]}: {build.packages}"
    for compiler in build.compilers:
        if shutil.which(compiler) is None:
            continue
        empty = result.with_name("empty" + Path(build.source).suffix)
        empty.write_text(build.empty)
        why = _compile(compiler, build.command(compiler, empty, result))
        if not why and (wrong := _compile(compiler, build.command(compiler, build.folder / build.source, result))):
            raise CannotCompile(wrong)
        if not why:
            return ""
    return why


def _compile(compiler: str, command: list[str]) -> str:
    """Run a compiler; gives what went wrong, or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{compiler} was not ready after {SECONDS} s"
    return "" if done.returncode == 0 else f"{compiler} cannot make it: {(done.stderr or done.stdout).strip()[-300:]}"


@cache
def expected(source: str) -> str:
    """What a native compiler's program of a source writes."""
    return (HERE / source).with_suffix(".txt").read_text()


def native(source: str, folder: Path) -> str | None:
    """The same, made just now; None where no compiler of the machine's own is there."""
    program = native_program(HERE / source, folder)
    if program is None:
        return None
    return subprocess.run([str(program)], check=True, capture_output=True, text=True, timeout=SECONDS).stdout


def native_program(source: Path, folder: Path, *options: str) -> Path | None:
    """What the machine's own compiler makes of a source; None where there is none."""
    compiler = shutil.which("c++" if source.suffix == ".cpp" else "cc")
    if compiler is None:
        return None
    program = folder / "program"
    subprocess.run([compiler, "-O1", *options, "-o", str(program), str(source)], check=True, timeout=SECONDS)
    return program


def main() -> int:
    """Make all of them, and what they are to write; 1 where one could not be made."""
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for source in sorted({build.source for build in BUILDS.values()}):
            text = native(source, Path(name))
            if text is not None:
                (HERE / source).with_suffix(".txt").write_text(text)
        for module in BUILDS:
            result = Path(name, module)
            why = made(module, result)
            if why:
                failed = 1
            else:
                shutil.copyfile(result, HERE / module)
            print(f"{module}: {why or f'{os.path.getsize(HERE / module)} bytes'}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
