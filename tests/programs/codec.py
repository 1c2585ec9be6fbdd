"""A codec with vectors: zstd of Debian's source, built for WASI by clang, and kept beside its main function for the
machines without these. ``python -m tests.programs.codec`` makes it again.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.programs.compiled import CLANGS, SECONDS

HERE: Final = Path(__file__).with_name("packing")
PACKAGES: Final = "apt install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32"
OPTIONS: Final = (
    *("--target=wasm32-wasi", "-O2", "-msimd128", "-Wl,--strip-all"),
    *("-DNDEBUG", "-DZSTD_DISABLE_ASM=1", "-DZSTD_LEGACY_SUPPORT=0", "-DZSTD_NO_INLINE=1"),
)


def made(result: Path, folder: Path) -> str:
    """Fetch the source into a folder and compile it; gives why it could not be, or nothing."""
    if shutil.which("apt-get") is None:
        return "no apt-get: the source is Debian's"
    fetched = subprocess.run(
        ["apt-get", "source", "--quiet", "libzstd"], cwd=folder, capture_output=True, text=True, timeout=SECONDS
    )
    sources = next(iter(folder.glob("libzstd-*/lib")), None)
    if fetched.returncode or sources is None:
        return f"the source is not to be had: {fetched.stderr.strip()[-200:]}"
    files = [str(f) for part in ("common", "compress", "decompress") for f in sorted((sources / part).glob("*.c"))]
    why = f"no {CLANGS[0]}: {PACKAGES}"
    for compiler in CLANGS:
        if shutil.which(compiler) is None:
            continue
        command = [compiler, *OPTIONS, f"-I{sources}", str(HERE / "zstd.c"), *files, "-o", str(result)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode == 0:
            return ""
        why = f"{compiler} cannot make it: {done.stderr.strip()[-300:]}"
    return why


def main() -> int:
    """Make it; 1 where it could not be made."""
    with tempfile.TemporaryDirectory() as name:
        result = Path(name, "zstd.wasm")
        why = made(result, Path(name))
        if not why:
            shutil.copyfile(result, HERE / "zstd.wasm")
        print(why or f"zstd.wasm: {result.stat().st_size} bytes")
    return int(bool(why))


if __name__ == "__main__":
    raise SystemExit(main())
