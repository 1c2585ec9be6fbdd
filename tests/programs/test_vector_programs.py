"""Programs with vectors in them, as compilers make them from -O2 on: a JavaScript one by Javy, pipelines for images and
archives in C++, a codec in C; beside wasmtime, which runs the same."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import stratavm
from tests import needed
from tests.programs import codec

pytestmark = pytest.mark.trace_slow
TIERS = ["auto", "jit0", "jit1"]
CONVERSIONS: dict[str, tuple[Any, ...]] = {
    "yamlMetricToDeclarative": (
        {
            "type": "metric",
            "id": "m1",
            "title": "Σ sum",
            "maql": "SELECT SUM({fact/x})",
            "format": "#,##0",
            "tags": ["a"],
        },
    ),
    "declarativeMetricToYaml": (
        {"id": "m2", "title": "Two", "content": {"maql": "SELECT {metric/m1} / 2", "format": "#,##0.00%"}, "tags": []},
    ),
    "yamlAttributeHierarchyToDeclarative": (
        {
            "type": "attribute_hierarchy",
            "id": "h",
            "title": "Height ✓",
            "attributes": ["label/a", "label/b", "label/c"],
        },
    ),
    "validateDeclarativePublisherEntityV2": ({"kind": "nothing", "text": "é" * 300},),
    "noSuchFunction": (1, [2]),
}


@cache
def on_wasmtime(path: Path) -> tuple[Any, Any]:
    """The engine, and the module compiled by it."""
    wasmtime = needed.module("wasmtime")
    engine = wasmtime.Engine()
    return engine, wasmtime.Module.from_file(engine, str(path))


class Theirs:
    """An instance on wasmtime."""

    def __init__(self, path: Path, arguments: list[str], folder: Path, data: bytes = b"") -> None:
        self.wasmtime = needed.module("wasmtime")
        engine, module = on_wasmtime(path)
        linker = self.wasmtime.Linker(engine)
        linker.define_wasi()
        self.store, world = self.wasmtime.Store(engine), self.wasmtime.WasiConfig()
        (folder / "in").write_bytes(data)
        self.out = folder / "out"
        world.argv, world.stdin_file, world.stdout_file = arguments, str(folder / "in"), str(self.out)
        self.store.set_wasi(world)
        self.exports = linker.instantiate(self.store, module).exports(self.store)

    def call(self, name: str, *arguments: int) -> Any:
        """What an export gives."""
        return self.exports[name](self.store, *arguments)

    def start(self) -> tuple[int, bytes]:
        """Exit code and standard output of the whole program."""
        try:
            self.call("_start")
        except self.wasmtime.ExitTrap as end:
            return end.code, self.out.read_bytes()
        return 0, self.out.read_bytes()

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory."""
        return bytes(self.exports["memory"].read(self.store, address, address + size))

    def write(self, address: int, data: bytes) -> None:
        """Bytes into memory."""
        self.exports["memory"].write(self.store, data, address)


class Ours:
    """The same on Strata, on a tier."""

    def __init__(self, path: Path, arguments: list[str], tier: str, data: bytes = b"") -> None:
        self.out = bytearray()
        self.world = stratavm.Wasi(args=arguments, stdin=data, stdout=self.out)
        self.exports = stratavm.load(str(path), imports=self.world.namespaces(), tier=tier).exports

    def call(self, name: str, *arguments: int) -> Any:
        """What an export gives."""
        return self.exports[name](*arguments)

    def start(self) -> tuple[int, bytes]:
        """Exit code and standard output of the whole program."""
        try:
            self.call("_start")
        except stratavm.ExitError as end:
            return end.code, bytes(self.out)
        return 0, bytes(self.out)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory."""
        return bytes(self.exports.memory.read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Bytes into memory."""
        self.exports.memory.write(address, data)


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_javascript_program_answers_as_on_wasmtime(name, tmp_path):
    """Javy's QuickJS with 4 MB of JavaScript in it, on each tier: results, and an error for what is not there."""
    path = needed.program("convertors.wasm")
    request = json.dumps({"function": name, "args": CONVERSIONS[name]}).encode()
    code, answer = Theirs(path, ["convertors"], tmp_path, request).start()
    assert ("error" in json.loads(answer)) == (name == "noSuchFunction"), answer
    for tier in TIERS:
        assert Ours(path, ["convertors"], tier, request).start() == (code, answer), tier


def pipeline(guest: Any, inputs: list[tuple[dict[str, Any], list[bytes]]], outputs: int) -> list[tuple[bytes, bytes]]:
    """Run a pipeline of itk-wasm: arrays and their descriptions go into its memory, and come out of it."""
    guest.call("_initialize")

    def placed(data: bytes, name: str, *numbers: int) -> int:
        address = guest.call(name, 0, *numbers, len(data)) & 0xFFFFFFFF
        guest.write(address, data)
        return address

    def found(kind: str, *numbers: int) -> bytes:
        address, size = (guest.call(f"itk_wasm_output_{kind}_{what}", 0, *numbers) for what in ("address", "size"))
        return guest.read(address & 0xFFFFFFFF, size)

    for index, (description, arrays) in enumerate(inputs):
        where = [placed(a, "itk_wasm_input_array_alloc", index, i) for i, a in enumerate(arrays)]
        text = json.dumps(description) % tuple(f"data:application/vnd.itk.address,0:{address}" for address in where)
        placed(text.encode(), "itk_wasm_input_json_alloc", index)
    assert guest.call("itk_wasm_delayed_start") == 0
    made = [(found("json", n), found("array", n, 0)) for n in range(outputs)]
    guest.call("itk_wasm_delayed_exit", 0)
    return made


def test_an_archive_is_packed_and_unpacked_as_on_wasmtime(tmp_path):
    """C++ with vectors from an image toolkit: a codec and base64, there and back."""
    pack, unpack = (needed.program(f"{name}.wasi.wasm") for name in ("compress-stringify", "parse-string-decompress"))
    data = (b"the quick brown fox " * 300 + random.Random(1).randbytes(3000)) * 4
    words = ["pack", "--memory-io", "0", "0", "--stringify", "--compression-level", "7", "--data-url-prefix", "data:,"]
    given = [({"size": len(data), "data": "%s"}, [data])]
    packed = pipeline(Theirs(pack, words, tmp_path), given, 1)
    assert packed[0][1].startswith(b"data:,") and len(packed[0][1]) < len(data) // 2
    for tier in TIERS:
        assert pipeline(Ours(pack, words, tier), given, 1) == packed, tier
        back = [({"size": len(packed[0][1]), "data": "%s"}, [packed[0][1]])]
        found = pipeline(Ours(unpack, ["unpack", "--memory-io", "0", "0", "--parse-string"], tier), back, 1)
        assert found[0][1] == data, tier


def test_an_image_is_made_smaller_as_on_wasmtime(tmp_path):
    """An image of floats, smoothed and sampled: every pixel's bits are equal."""
    path = needed.program("downsample.wasi.wasm")
    wide, high = 61, 47
    made = random.Random(2)
    pixels = struct.pack(f"<{wide * high}f", *(made.gauss(100, 30) for _ in range(wide * high)))
    direction = struct.pack("<4d", 1, 0, 0, 1)
    image = {
        "imageType": {"dimension": 2, "componentType": "float32", "pixelType": "Scalar", "components": 1},
        "name": "image",
        "origin": [0.5, -1.25],
        "spacing": [1.0, 0.75],
        "data": "%s",
        "direction": "%s",
        "size": [wide, high],
        "metadata": [],
    }
    words = ["downsample", "--memory-io", "0", "0", "--shrink-factors", "2", "3"]
    given = [(image, [pixels, direction])]
    theirs = pipeline(Theirs(path, words, tmp_path), given, 1)
    description, smaller = theirs[0]
    assert json.loads(description)["size"] == [wide // 2, high // 3] and len(smaller) == wide // 2 * (high // 3) * 4
    for tier in TIERS:
        assert pipeline(Ours(path, words, tier), given, 1) == theirs, tier


@cache
def text() -> bytes:
    """Something to pack: words, numbers, runs and noise."""
    made = random.Random(4)
    words = [made.randbytes(made.randrange(2, 9)).hex() for _ in range(300)]
    lines = (" ".join(made.choices(words, k=9)) + f" {n * n}\n" for n in range(2500))
    return "".join(lines).encode() + bytes(5000) + made.randbytes(20_000) + b"abcabcabd" * 2000


@pytest.mark.parametrize("level", [1, 3, 7, 13, 19])
def test_a_codec_packs_to_the_same_bytes_as_on_wasmtime(level, tmp_path):
    """Every way that zstd has to look for matches; what each packs, each unpacks."""
    path = codec.HERE / "zstd.wasm"
    code, packed = Theirs(path, ["zstd", str(level)], tmp_path, text()).start()
    assert code == 0 and len(packed) < len(text()) // 2
    for tier in TIERS:
        assert Ours(path, ["zstd", str(level)], tier, text()).start() == (0, packed), tier
        assert Ours(path, ["zstd", "-d"], tier, packed).start() == (0, text()), tier
    native = shutil.which("zstd")
    if native is not None:
        done = subprocess.run([native, "-dc"], input=packed, capture_output=True, check=True, timeout=60)
        assert done.stdout == text()


def test_damage_is_found_by_the_codec():
    """A frame that ends early or begins otherwise: exit codes of the program, and no output."""
    path = codec.HERE / "zstd.wasm"
    packed = Ours(path, ["zstd", "3"], "auto", text()).start()[1]
    for damaged, code in ((packed[:-9], 1), (packed[:40], 1), (b"\1" + packed[1:], 3), (b"no frame", 3)):
        for tier in TIERS:
            assert Ours(path, ["zstd", "-d"], tier, damaged).start() == (code, b""), tier


def test_the_kept_codec_is_what_its_source_makes(tmp_path):
    """Where Debian's source and a compiler are: the module is made again, and packs as the one that is kept."""
    made = tmp_path / "zstd.wasm"
    if why := codec.made(made, tmp_path):
        pytest.skip(why)
    assert made.stat().st_size < 400_000
    packed = Ours(made, ["zstd", "9"], "jit1", text()).start()
    assert packed == Ours(codec.HERE / "zstd.wasm", ["zstd", "9"], "jit1", text()).start()
