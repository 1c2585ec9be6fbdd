"""C with POSIX threads: how its module is made, which is kept beside the source for the machines without a compiler.

Debian's C library for WASI has only stubs of threads. One with threads is in the wasi-sdk, or is built from the source
of wasi-libc by ``make THREAD_MODEL=posix CC=clang-19 AR=llvm-ar-19 NM=llvm-nm-19 SYSROOT=…``; ``WASI_THREADS_SYSROOT``
says where. Then ``python -m tests.programs.pthreads`` makes the module again, and what it is to write.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.programs.compiled import CLANGS, SECONDS, Build, make, native_program

HERE: Final = Path(__file__).with_name("threaded")
PROGRAM: Final = HERE / "threads.wasm"
SOURCE: Final = HERE / "threads.c"
EXPECTED: Final = HERE / "threads.txt"
SYSROOTS: Final = ("/opt/wasi-sdk/share/wasi-sysroot", "/usr/share/wasi-sysroot")
TARGET: Final = "wasm32-wasi-threads"
PACKAGES: Final = "apt install clang-19 lld-19 libclang-rt-19-dev-wasm32"
EMPTY: Final = "int main(void) { return 0; }"
LINKED: Final = "-Wl,--import-memory,--export-memory,--max-memory=67108864,--strip-all"
"""Threads share a memory that is imported, and the host finds it by its export."""


def sysroot() -> str | None:
    """Where a C library with threads is, if it is."""
    for folder in (os.environ.get("WASI_THREADS_SYSROOT"), *SYSROOTS):
        if folder and Path(folder, "lib", TARGET, "libc.a").exists():
            return folder
    return None


def compiled(result: Path) -> str:
    """Compile the module; gives why it could not be, or nothing."""
    library = sysroot()
    if library is None:
        return "no C library for WASI with threads: WASI_THREADS_SYSROOT"
    options = (f"--target={TARGET}", f"--sysroot={library}", "-pthread", "-Os", LINKED)
    return make(Build(SOURCE.name, CLANGS, options, (), PACKAGES, HERE, EMPTY), result)


def native(folder: Path) -> Path | None:
    """The same program, by the machine's own compiler; None where there is none."""
    return native_program(SOURCE, folder, "-pthread")


def main() -> int:
    """Make the module, and what it is to write; 1 where one could not be made."""
    with tempfile.TemporaryDirectory() as name:
        program = native(Path(name))
        if program is not None:
            done = subprocess.run([str(program)], check=True, capture_output=True, timeout=SECONDS)
            EXPECTED.write_bytes(done.stdout)
        why = compiled(Path(name, PROGRAM.name))
        if not why:
            shutil.copyfile(Path(name, PROGRAM.name), PROGRAM)
        print(f"{PROGRAM.name}: {why or f'{os.path.getsize(PROGRAM)} bytes'}")
    return int(bool(why))


if __name__ == "__main__":
    raise SystemExit(main())
