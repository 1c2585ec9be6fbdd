"""What a hardware toolchain makes of a small circuit, by wasmtime: ``python -m tests.programs.witness`` makes it again.

It takes a minute or two of both processors the first time, nearly all of it to compile yosys; so the tests compare with
the digests below.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tools import programs

COUNTER: Final = """module counter(input clk, input en, output reg [7:0] q);
  always @(posedge clk) if (en) q <= q + 1;
endmodule
"""
STEPS: Final[Mapping[str, Sequence[str]]] = {
    "yosys.wasm": (
        "-q",
        "-p",
        "read_verilog counter.v; synth_ice40 -top counter -json counter.json; write_blif counter.blif",
    ),
    "nextpnr-ice40.wasm": (
        *("--hx1k", "--package", "tq144", "--json", "counter.json", "--asc", "counter.asc"),
        *("--seed", "7", "--quiet", "--pcf-allow-unconstrained"),
    ),
    "icepack.wasm": ("counter.asc", "counter.bin"),
}
"""The programs and their arguments; each reads what the one before it wrote."""
MADE: Final[Mapping[str, str]] = {
    "counter.json": "b7e6428debaed7217ebe1f22d54bdbb5b9df94fbe6ab0eb205062855cbb10572",
    "counter.blif": "f123d0e7d2f1bc077b8bc4645b055a540e65a0d08e2ee9f4a35b51e2ab84ab73",
    "counter.asc": "e0218d08796ed516a74ff911a995e48a7249bc03ec97f300a6eaccf88d99cc8b",
    "counter.bin": "90289758b4c04077086cb139e84dcc16dbd36606e9ad3ed2884074b7f89eb844",
}
"""SHA-256 of what wasmtime 50.0.1 made with the versions of ``tools/constraints.txt``."""


def given(name: str, folder: Path) -> list[tuple[Path, str]]:
    """The folders that a program is given: where it works, one for what it keeps for a while, its library."""
    found = [(folder, "."), (folder / "tmp", "/tmp")]
    path = programs.find(name)
    if path is not None and (path.parent / "share").is_dir():
        found.append((path.parent / "share", "/share"))
    return found


def run(name: str, folder: Path) -> None:
    """Run a program under wasmtime.

    Raises:
        RuntimeError: it is not installed, or ends with another exit code than 0.
    """
    import wasmtime

    path = programs.find(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed: `make venv`")
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    config = wasmtime.WasiConfig()
    config.argv = [name.removesuffix(".wasm"), *STEPS[name]]
    config.inherit_stderr()
    for host, guest in given(name, folder):
        config.preopen_dir(str(host), guest)
    store.set_wasi(config)
    try:
        linker.instantiate(store, wasmtime.Module.from_file(engine, str(path))).exports(store)["_start"](store)
    except wasmtime.ExitTrap as stop:
        if stop.code:
            raise RuntimeError(f"{name} ended with exit code {stop.code}") from stop


def main() -> int:
    """Print the digests; 1 if one is another than the tests have."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        (folder / "counter.v").write_text(COUNTER)
        for step in STEPS:
            run(step, folder)
        found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in MADE}
    for name, value in found.items():
        print(f"{value}  {name}" + ("" if value == MADE[name] else "  (another one stands in the tests)"))
    return int(found != MADE)


if __name__ == "__main__":
    raise SystemExit(main())
