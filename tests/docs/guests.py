"""Guests whose sources stand in the docs: a block that begins with ``// NAME``, and the ``$ `` command behind it.

The command's result is kept beside this file, so that the pages' Python examples run where no compiler is. Where there
is one, tests compile the page's source and run the page's examples with that.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).with_name("guests")
"""The compiled guests."""
SECONDS = 120
GUEST = re.compile(r"^```(?:c|cpp|rust|zig|typescript)\n// (\S+)\n(.*?)^```\n+```shell\n\$ (.*?)\n```", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Guest:
    """A source in a page, and how the page compiles it."""

    page: Path
    source: str
    text: str
    command: tuple[str, ...]

    @property
    def result(self) -> str:
        """The name of the compiled file."""
        return next(word.removeprefix("-femit-bin=") for word in self.command if word.endswith(".wasm"))


def guests(page: Path) -> Iterator[Guest]:
    """Every guest of a page."""
    for source, text, command in GUEST.findall(page.read_text()):
        yield Guest(page, source, text, tuple(shlex.split(command)))


def works(command: list[str], text: str, suffix: str, folder: Path) -> bool:
    """Whether a compiler is there and has what the target needs."""
    source = folder / f"probe{suffix}"
    source.write_text(text)
    done = subprocess.run([*command, str(source)], cwd=folder, capture_output=True, timeout=SECONDS, check=False)
    return done.returncode == 0


def clang(folder: Path) -> list[str] | None:
    """A clang with a linker, a C library and run-time support for WASI."""
    names = ["clang", *(f"clang-{version}" for version in range(30, 17, -1))]
    text = "#include <stdlib.h>\nint main(void) { return (int)(long)malloc(1); }\n"
    options = ["--target=wasm32-wasi", "-o", "probe.wasm"]
    return next(([n] for n in names if shutil.which(n) and works([n, *options], text, ".c", folder)), None)


def rustc(folder: Path) -> list[str] | None:
    """A rustc with the target's library; its own linker is missing on Debian."""
    found = [str(path) for place in path_entries() if (path := place / "rustc").is_file()]
    linkers = ["", *(f"wasm-ld{version}" for version in ("", *(f"-{v}" for v in range(30, 17, -1))))]
    for compiler in found:
        for linker in linkers:
            command = [compiler, *(["-C", f"linker={linker}"] if linker else [])]
            probe = [*command, "--target", "wasm32-unknown-unknown", "--crate-type", "cdylib"]
            if (not linker or shutil.which(linker)) and works(probe, "pub fn f() {}\n", ".rs", folder):
                return command
    return None


def empp(folder: Path) -> list[str] | None:
    """An emscripten whose C library is ready."""
    if not shutil.which("em++"):
        return None
    text = "#include <string>\nint main(int n, char **) { if (n > 1) throw std::string(); }\n"
    options = ["em++", "-fwasm-exceptions", "-sSTANDALONE_WASM", "-o", "probe.wasm"]
    return ["em++"] if works(options, text, ".cpp", folder) else None


def path_entries() -> list[Path]:
    """The folders in which programs are looked for."""
    return [Path(place) for place in os.environ.get("PATH", "").split(":") if place]


def zig(folder: Path) -> list[str] | None:
    """``zig``, or the one of the Python package."""
    del folder
    if found := shutil.which("zig"):
        return [found]
    return [sys.executable, "-m", "ziglang"] if find_spec("ziglang") else None


def asc(folder: Path) -> list[str] | None:
    """The AssemblyScript compiler, where npm's programs are on the path."""
    del folder
    found = shutil.which("asc")
    return [found] if found else None


COMPILERS: dict[str, tuple[Callable[[Path], list[str] | None], str]] = {
    "clang": (clang, "apt install clang lld wasi-libc libclang-rt-19-dev-wasm32"),
    "em++": (empp, "apt install emscripten"),
    "rustc": (rustc, "rustup target add wasm32-unknown-unknown, or apt install rustc libstd-rust-dev-wasm32 lld"),
    "zig": (zig, "pip install ziglang"),
    "asc": (asc, "npm install --global assemblyscript"),
}
"""What a page calls a compiler → how it is found here, and how to install it."""


@cache
def compiler(name: str, folder: Path) -> list[str] | None:
    """The command behind the name that a page uses; None where it is not installed, or lacks its target."""
    return COMPILERS[name][0](folder)
