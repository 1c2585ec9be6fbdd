"""Claims about memory pages in images: a copy of them is mapped, if they are what was written."""

import os

import pytest

from stratavm import Engine, Linker, MemorySlots, Module, Store
from stratavm.aot import container
from stratavm.aot.container import Key
from stratavm.base.forms import replace
from stratavm.engine import keptimage
from stratavm.engine.aot import BuiltCodeRefused, BuiltCodeUsed
from stratavm.engine.codecache import ImageRestored
from stratavm.testing import EventRecorder

SIZE = 1 << 14
CONTENT = bytes(range(256)) * (SIZE // 256)
ESCAPED = "".join(f"\\{byte:02x}" for byte in range(256)) * (SIZE // 256)
TEXT = f"""(module (memory (export "memory") 32) (data (i32.const 4096) "{ESCAPED}")
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"""
KEY = b"the key of these tests"


@pytest.fixture(scope="module")
def built():
    """The image: it has pages although they are few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keptimage, "LEAST_BYTES", 1)
        return Module.build(TEXT).serialize(key=KEY)


@pytest.fixture
def path(tmp_path, built):
    """A file of it."""
    path = tmp_path / "app.strata"
    path.write_bytes(built)
    return path


def used(make, **options):
    """Whether its pages were mapped, its code ran, and why a part was refused; its memory has what it should."""
    engine = Engine(**options)
    with EventRecorder(engine.bus) as recorder:
        module = make(engine)
        exports = Linker(engine).instantiate(Store(engine), module).exports
        engine.bus.drain()
    assert bytes(exports.memory)[: 4096 + SIZE + 1] == bytes(4096) + CONTENT + b"\0"
    exports.poke(4097, 99)
    assert exports.peek(4097) == 99
    kinds = {type(e) for e in recorder.events}
    why = [e.reason for e in recorder.events if isinstance(e, BuiltCodeRefused)]
    return ImageRestored in kinds, BuiltCodeUsed in kinds, why


def test_pages_of_a_file_are_mapped(path):
    """Each instance has its own of them, and the file stays as it is."""
    before = path.read_bytes()
    assert used(lambda engine: Module.deserialize_file(path, engine, key=KEY)) == (True, True, [])
    assert path.read_bytes() == before


def test_pages_behind_a_line_for_the_shell_are_mapped(tmp_path, monkeypatch):
    """They lie at pages of the file all the same."""
    monkeypatch.setattr(keptimage, "LEAST_BYTES", 1)
    path = tmp_path / "app"
    Module.build(TEXT).serialize_file(path, key=KEY, executable=True)
    assert used(lambda engine: Module.deserialize_file(path, engine, key=KEY))[0]


def test_a_file_may_be_replaced_under_who_maps_it(path):
    """As writers of images do."""
    engine = Engine()
    module = Module.deserialize_file(path, engine, key=KEY)
    exports = Linker(engine).instantiate(Store(engine), module).exports
    Module.build("(module)").serialize_file(path)
    assert bytes(exports.memory)[4096 : 4096 + SIZE] == CONTENT


def test_nothing_is_mapped_without_trust_or_a_file(path, built):
    """Of bytes, or of an image that is nobody's: the memory is written as ever."""
    assert used(lambda engine: Module.deserialize(built, engine, key=KEY)) == (False, True, [])
    mapped, code, why = used(lambda engine: Module.deserialize_file(path, engine))
    assert (mapped, code) == (False, False) and "mark" in why[0]


@pytest.mark.parametrize(
    ("options", "mapped"),
    [({"memory_images": "never"}, False), ({"memory_slots": MemorySlots(memories=2)}, True)],
    ids=["never", "pool"],
)
def test_options_that_exclude_it_do(path, options, mapped):
    """A slot shows it as well: it is written back from a copy that nobody can change."""
    assert used(lambda engine: Module.deserialize_file(path, engine, key=KEY), **options)[:2] == (mapped, True)


@pytest.mark.parametrize("change", ["cut off", "written over"])
def test_who_changes_the_file_changes_no_memory(path, change):
    """A guest that may write to the folder of its image, for one: neither what runs nor what begins later."""
    engine = Engine()
    module = Module.deserialize_file(path, engine, key=KEY)
    before = Linker(engine).instantiate(Store(engine), module).exports
    with path.open("r+b") as file:
        if change == "cut off":
            file.truncate(0)
        else:
            file.write(b"x" * path.stat().st_size)
    later = Linker(engine).instantiate(Store(engine), module).exports
    for exports in (before, later):
        assert bytes(exports.memory)[: 4096 + SIZE + 1] == bytes(4096) + CONTENT + b"\0"


def test_pages_that_are_damaged_are_not_mapped(path, built):
    """Their sum says so, or their tag."""
    section = container.read(built).sections["memory"]
    for at in (0, section.size // 2, section.size - 1):
        data = bytearray(built)
        data[section.offset + at] ^= 4
        path.write_bytes(data)
        mapped, code, why = used(lambda engine: Module.deserialize_file(path, engine, key=KEY))
        assert (mapped, code) == (False, True) and "memory is damaged" in why[0]
        mapped, code, why = used(lambda engine: Module.deserialize_file(path, engine, trusted=True))
        assert (mapped, code) == (False, True) and "not what they were" in why[0]


def test_pages_with_the_right_sum_have_not_the_right_tag(path, built, monkeypatch):
    """Sums can be made to fit."""
    section = container.read(built).sections["memory"]
    data = bytearray(built)
    data[section.offset] ^= 4
    path.write_bytes(data)
    right = keptimage.sum_of(container.read(built).section("memory"))
    monkeypatch.setattr(keptimage, "sum_of_file", lambda *given: right)
    mapped, _, why = used(lambda engine: Module.deserialize_file(path, engine, key=KEY))
    assert not mapped and "memory is damaged" in why[0]


@pytest.mark.parametrize("part", ["layout", "memory"])
def test_a_layout_that_does_not_fit_is_refused(path, built, part):
    """Whoever marked it: places in it are checked against the module, and sizes against the file."""
    image = replace(container.read(built), key=Key(KEY))
    sections = {name: image.section(name) for name in image.sections}
    layout = sections["layout"]
    wrong = [layout[:-1], layout + b"\0" * 16, bytes(len(layout)), layout[:32] + b"\xff" * 16]
    wrong.append(layout[:8] + b"\xff" * 8 + layout[16:])
    if part == "memory":
        wrong = [sections["memory"][:-4096], sections["memory"] + bytes(4096), b""]
    for content in wrong:
        path.write_bytes(b"".join(container.write({**sections, part: content}, KEY)))
        mapped, code, why = used(lambda engine: Module.deserialize_file(path, engine, key=KEY))
        assert (mapped, code) == (False, True) and "not what they were" in why[0], content[:40]


def test_a_file_that_is_cut_off_before_it_is_mapped_is_not(path):
    """What is looked at is what is mapped."""
    engine = Engine()
    module = Module.deserialize_file(path, engine, key=KEY)
    os.truncate(path, container.read(path.read_bytes()).sections["memory"].offset + 4096)
    with EventRecorder(engine.bus) as recorder:
        exports = Linker(engine).instantiate(Store(engine), module).exports
    assert bytes(exports.memory)[4096 : 4096 + SIZE] == CONTENT
    assert any("ends early" in getattr(e, "reason", "") for e in recorder.events)


def test_modules_without_much_data_have_no_pages():
    """Copying is as quick."""
    assert keptimage.LEAST_BYTES >= 4096
    image = container.read(Module.build('(module (memory 1) (data (i32.const 0) "x"))').serialize())
    assert "memory" not in image.sections and "layout" not in image.sections
