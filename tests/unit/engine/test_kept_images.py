"""Claims about images of memories between processes: the second start keeps one, the third one maps it."""

from __future__ import annotations

import gc
import os
import random
from pathlib import Path

import pytest

from stratavm import Engine, Linker, MemorySlots, Module, Store
from stratavm.engine.codecache import CodeNotKept, ImageKept, ImageRestored, SkeletonKept
from stratavm.engine.keptimage import HEAD, image_of, lay_out
from stratavm.runtime.image import PAGE
from stratavm.testing import EventRecorder

pytestmark = pytest.mark.usefixtures("home")

PAGES = 40
SEGMENTS = [(n * 8192 + n % 50, bytes([n % 251 + 1]) * (n % 300 + 4000)) for n in range(260)]


def text(memory: str = f'(memory (export "memory") {PAGES})', more: str = "") -> str:
    """A module whose segments take two megabytes."""
    segments = "".join(
        f'(data (i32.const {place}) "{"".join(f"{chr(92)}{byte:02x}" for byte in content)}")'
        for place, content in SEGMENTS
    )
    return f'(module {memory} {segments} {more} (func (export "f") (result i32) (i32.load8_u (i32.const 8192))))'


@pytest.fixture(scope="session")
def binary() -> bytes:
    """The module's bytes."""
    return Module(text(), engine=Engine(cache=False)).model.binary


def start(source: bytes, instances: int = 1, **options):
    """What memory holds in the last instance, and what was said; the guest writes to it."""
    engine = Engine(**options)
    with EventRecorder(engine.bus) as recorder:
        module = Module(source, engine=engine)
        for _ in range(instances):
            exports = Linker(engine).instantiate(Store(engine), module).exports
            found = bytes(exports.memory[:])
            assert exports.f() == found[8192]
            exports.memory[8192:8200] = b"\xff" * 8
        del module, exports
        gc.collect()
        engine.bus.drain()
    return found, [type(event) for event in recorder.events]


def expected() -> bytes:
    """What it begins with."""
    memory = bytearray(PAGES << 16)
    for place, content in SEGMENTS:
        memory[place : place + len(content)] = content
    return bytes(memory)


def pages_of(home: Path) -> Path:
    """The file of the pages."""
    return max((home / "cache/stratavm/code").iterdir(), key=lambda file: file.stat().st_size)


def test_the_third_start_maps_what_the_second_one_kept(binary):
    """Its memory is the same; what a guest writes is its own."""
    found, said = start(binary)
    assert found == expected() and SkeletonKept in said and ImageKept not in said
    found, said = start(binary)
    assert found == expected() and ImageKept in said and ImageRestored not in said
    for _ in range(2):
        found, said = start(binary)
        assert found == expected() and ImageRestored in said and ImageKept not in said


@pytest.mark.parametrize(
    "options", [{"memory_slots": MemorySlots(2)}, {"memory_images": "never"}, {"tier": "jit1"}], ids=str
)
def test_a_file_that_is_not_sealed_is_for_one_instance(binary, options):
    """A module with more instances lays out an image of its own."""
    for _ in range(2):
        start(binary)
    found, said = start(binary, **options)
    assert found == expected() and (ImageRestored in said) == ("memory_images" not in options)
    found, said = start(binary, instances=3)
    assert found == expected()


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "gone", "longer"])
def test_pages_that_are_not_what_they_were_are_not_used(binary, home, how):
    """It is said, and mended."""
    for _ in range(2):
        start(binary)
    file = pages_of(home)
    whole = file.read_bytes()
    chance = random.Random(how)
    for _ in range(4):
        damaged = bytearray(whole)
        if how == "flip":
            damaged[chance.randrange(PAGE, len(whole))] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del damaged[chance.randrange(len(whole)) :]
        elif how == "empty":
            damaged.clear()
        elif how == "longer":
            damaged += bytes(PAGE)
        file.write_bytes(damaged)
        if how == "gone":
            file.unlink()
        found, said = start(binary)
        assert found == expected() and ImageRestored not in said and ImageKept in said
        assert (CodeNotKept in said) == (how not in ("gone", "empty"))
        assert start(binary)[1].count(ImageRestored) == 1


def test_a_description_is_checked(binary, tmp_path):
    """Whatever it says: as many pages as there are, in order, within the memory. Where they go is believed."""
    model = Module(binary, engine=Engine(cache=False)).model
    description, pages = lay_out(model, 100)
    file = tmp_path / "pages"
    file.write_bytes(bytes(100) + pages)

    def right(data: bytes) -> bool:
        descriptor = os.open(file, os.O_RDONLY)
        found = image_of(data, model, descriptor, 100, len(pages))
        if found is None:
            os.close(descriptor)
        return found is not None

    assert right(description)
    chance = random.Random(2)
    for n in range(200):
        damaged = bytearray(description)
        if n % 4:
            place = chance.choice([*range(HEAD.size), *range(HEAD.size + 8, len(damaged))])
            damaged[place] ^= 1 << chance.randrange(8)
        else:
            del damaged[chance.randrange(len(damaged)) :]
        assert not right(bytes(damaged)), n
    assert not right(description + bytes(16)) and len(description) > HEAD.size
    for start in (1, PAGE // 2, PAGES << 16, 1 << 63):
        assert not right(description[: HEAD.size] + start.to_bytes(8, "little") + description[HEAD.size + 8 :])


@pytest.mark.parametrize("memory", ["imported", "small"])
def test_what_does_not_pay_is_kept_as_that(home, memory):
    """It is not laid out again at each start."""
    source = {
        "imported": text(f'(import "" "m" (memory {PAGES}))'),
        "small": f'(module (memory (export "memory") 2) (data (i32.const 8192) "abc") (func (export "f") (result i32)'
        f' (i32.load8_u (i32.const 8192))) (data "{"x" * (1 << 16)}"))',
    }[memory]
    binary = Module(source, engine=Engine(cache=False)).model.binary
    said = []
    for _ in range(3):
        engine = Engine()
        with EventRecorder(engine.bus) as recorder:
            module = Module(binary, engine=engine)
            store = Store(engine)
            linker = Linker(engine)
            if memory == "imported":
                owner = Module(f'(module (memory (export "m") {PAGES}))', engine=engine)
                linker.define("", "m", linker.instantiate(store, owner).exports.m)
            assert linker.instantiate(store, module).exports.f() == (0 if memory == "imported" else ord("a"))
            del module, linker, store
            gc.collect()
            engine.bus.drain()
        said.append([type(event) for event in recorder.events])
    assert [ImageKept in each for each in said] == [False, True, False]
    assert not any(ImageRestored in each for each in said)
