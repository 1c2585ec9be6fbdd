"""Claims about images of initial memories: the same bytes as copied segments, sealed, and only where they pay."""

import fcntl
import gc
import mmap
import os
import resource
from types import SimpleNamespace

import pytest

import stratavm
from stratavm import Linker, MemorySlots, Module, Store, Trap
from stratavm.engine.events import ImageLaidOut, ImageRefused
from stratavm.runtime import image as images
from stratavm.runtime.image import NO_IMAGES, coverable, make_images
from stratavm.testing import EventRecorder

PAGE = 1 << 16
HOST = mmap.PAGESIZE
BLOCK = "\\5a" * (12 * HOST)


def module(text, **options):
    """A module of an engine of its own."""
    return Module(f"(module {text})", engine=stratavm.Engine(**options))


def instance(of, store=None):
    """An instance."""
    return Linker(of.engine).instantiate(store or Store(of.engine), of)


def contents(text, **options):
    """Memory after the first (copied) and after the second instance (with an image), and whether it shows one."""
    made = module(text, **options)
    seen = []
    for _ in range(2):
        memory = instance(made).exports.memory
        seen.append((memory.shows, memory.read(0, len(memory))))
    return seen


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
@pytest.mark.parametrize("slots", [None, MemorySlots(4)])
def test_an_image_and_copied_segments_are_the_same(tier, slots):
    """Overlaps, empty segments, pieces far away, the last byte; the first instance copies, the second maps."""
    text = f"""(memory (export "memory") 40)
      (data (i32.const 100) "{BLOCK}") (data (i32.const 4000) "over") (data (i32.const 0x20000) "")
      (data (i32.const 0x1fffff) "x") (data (i32.const 1000000) "{BLOCK}") (data "passive")
      (data (i32.const 2000000) "far away") (data (i32.const {40 * PAGE - 1}) "!")"""
    (copied, a), (shown, b) = contents(text, tier=tier, memory_slots=slots)
    assert (copied, shown) == (False, True)
    assert a == b and a[4000:4005] == b"overZ" and a[-1:] == b"!"


def test_instances_do_not_see_what_others_write():
    """Writes go to private copies of pages; the file stays as it is."""
    made = module(f'(memory (export "memory") 2) (data (i32.const 0) "{BLOCK}")')
    pre = Linker(made.engine).instantiate_pre(made)
    first, second = (
        pre.instantiate(Store(made.engine)).exports.memory,
        pre.instantiate(Store(made.engine)).exports.memory,
    )
    assert first.shows and second.shows
    first.write(0, bytes(2 * PAGE))
    assert second.read(0, 12 * HOST) == b"Z" * (12 * HOST)
    assert pre.instantiate(Store(made.engine)).exports.memory.read(0, 12 * HOST) == b"Z" * (12 * HOST)


def test_the_file_is_sealed():
    """Nobody writes, grows or shrinks it, or takes a seal away, through any descriptor."""
    made = make_images(module(f'(memory (export "memory") 2) (data (i32.const 0) "{BLOCK}")').model)
    (image,) = made.by_memory.values()
    descriptor = os.open(f"/proc/self/fd/{image.descriptor}", os.O_RDWR)
    try:
        for fd in (descriptor, image.descriptor):
            for change in (
                lambda fd=fd: os.pwrite(fd, b"x", 0),
                lambda fd=fd: os.ftruncate(fd, 0),
                lambda fd=fd: os.ftruncate(fd, 1 << 20),
                lambda fd=fd: mmap.mmap(fd, HOST, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
                lambda fd=fd: fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
            ):
                with pytest.raises(PermissionError):
                    change()
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        assert fcntl.fcntl(image.descriptor, fcntl.F_GET_SEALS) == seals
        assert fcntl.fcntl(image.descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    finally:
        os.close(descriptor)


def test_a_descriptor_is_closed_with_its_module():
    """Mappings live on without it."""
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    made = module(f'(memory (export "memory") 2) (data (i32.const 0) "{BLOCK}")')
    memory = Linker(made.engine).instantiate_pre(made).instantiate(Store(made.engine)).exports.memory
    assert len(os.listdir("/proc/self/fd")) == before + 1
    view = memory.view()
    memory.store.close()
    del memory, made
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert bytes(view[:4]) == b"ZZZZ"


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        (f'(memory 2) (data (i32.const 0) "{BLOCK}") (data (i32.const 0x1ffff) "ab") (data (i32.const 0) "no")', 1),
        ('(memory 2) (data (i32.const 1) "a") (data "passive") (data (i32.const 2) "b")', 3),
        ('(import "m" "g" (global i32)) (memory 1) (data (i32.const 1) "a") (data (global.get 0) "b")', 1),
        ('(memory 1) (data (i32.add (i32.const 1) (i32.const 1)) "a")', 0),
        ('(import "m" "m" (memory 1)) (data (i32.const 1) "a")', 0),
        ('(memory 1) (data (i32.const -1) "a")', 0),
        ('(memory 0) (data (i32.const 0) "")', 1),
        ("(memory 1)", 0),
    ],
)
def test_only_a_prefix_that_surely_fits_is_covered(text, covered):
    """What follows is copied one by one, and traps where it must."""
    assert coverable(stratavm.Module(f"(module {text})", engine=stratavm.Engine()).model) == covered


def test_segments_that_do_not_fit_trap_after_those_before():
    """The image holds what comes first; the rest is as without it."""
    made = module(
        f"""(import "m" "t" (table 4 funcref)) (memory 1)
        (func $peek (param i32) (result i32) (i32.load8_u (local.get 0)))
        (elem (i32.const 0) func $peek) (data (i32.const 0) "{BLOCK}") (data (i32.const 0xffff) "ab")
        (data (i32.const 0) "never")"""
    )
    for at_once in (False, True):
        store = Store(made.engine)
        table = stratavm.Table.new(store, stratavm.spec.types.FUNCREF, 4)
        linker = Linker(made.engine)
        linker.define("m", "t", table)
        made.images(at_once=at_once)
        with pytest.raises(Trap, match="out of bounds memory"):
            linker.instantiate(store, made)
        assert [table[0](i) for i in (0, 12 * HOST - 1, 12 * HOST, 0xFFFF)] == [0x5A, 0x5A, 0, 0]


@pytest.mark.parametrize("slots", [None, MemorySlots(2)])
def test_a_failing_element_segment_leaves_memory_untouched(slots):
    """Elements come first: a function that is in an imported table already sees zeros, and its segment undropped."""
    made = module(
        f"""(import "m" "t" (table 4 funcref)) (memory 1)
        (func $peek (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func $init (memory.init 0 (i32.const 8) (i32.const 0) (i32.const 4)))
        (elem (i32.const 0) func $peek $init) (elem (i32.const 4) func $peek) (data (i32.const 0) "{BLOCK}")""",
        memory_slots=slots,
    )
    made.images(at_once=True)
    for _ in range(2):
        store = Store(made.engine)
        table = stratavm.Table.new(store, stratavm.spec.types.FUNCREF, 4)
        linker = Linker(made.engine)
        linker.define("m", "t", table)
        with pytest.raises(Trap, match="out of bounds table"):
            linker.instantiate(store, made)
        assert [table[0](i) for i in (0, 8, HOST, 12 * HOST - 1)] == [0] * 4
        table[1]()
        assert [table[0](i) for i in (7, 8, 11, 12)] == [0, 0x5A, 0x5A, 0]
        store.close()


def test_a_module_without_data_has_no_image():
    """Nor has one whose data is elsewhere."""
    for text in ("(memory 1)", '(memory 1) (data "passive")', '(import "m" "m" (memory 1)) (data (i32.const 0) "a")'):
        assert module(text).images(at_once=True) is NO_IMAGES


def test_images_leave_files_for_the_program(monkeypatch):
    """They take a quarter of what the process may have open; then segments are copied."""
    kept = make_images(module('(memory 1) (data (i32.const 0) "a")').model)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (images.MAX_SHARE, 4096))
    made = module('(memory (export "memory") 1) (data (i32.const 0) "a")')
    with EventRecorder(made.engine.bus, ImageRefused) as recorder:
        memory = Linker(made.engine).instantiate_pre(made).instantiate(Store(made.engine)).exports.memory
    assert memory.read(0, 2) == b"a\0" and not memory.shows and kept.by_memory
    assert "one in 4 of the files" in recorder.events[0].error


def test_scattered_data_takes_few_mappings():
    """The largest runs are mapped, the rest is copied; a process has a limited number of mappings."""
    text = '(memory (export "memory") 160)' + "".join(f'(data (i32.const {i * 600_000}) "{BLOCK}")' for i in range(15))
    made = module(text)
    (image,) = made.images(at_once=True).by_memory.values()
    assert len(image.runs) == images.MAX_RUNS and len(image.pieces) == 15 - images.MAX_RUNS
    memory = instance(made).exports.memory
    for i in range(15):
        assert memory.read(i * 600_000, 12 * HOST) == b"Z" * (12 * HOST)
    assert memory.shows


def test_images_are_heard_of_and_can_be_turned_off():
    """Events, and an option."""
    text = f'(memory (export "memory") 2) (data (i32.const 0) "{BLOCK}")'
    made = module(text)
    with EventRecorder(made.engine.bus, ImageLaidOut) as recorder:
        instance(made)
        assert recorder.events == []
        instance(made)
        instance(made)
    assert [(e.memory, e.runs, e.bytes) for e in recorder.events] == [(0, 1, 12 * HOST)]
    assert instance(module(text, memory_images="always")).exports.memory.shows
    assert module(text, memory_images="never").images(at_once=True) is NO_IMAGES


def test_without_files_segments_are_copied_and_the_event_says_why(monkeypatch):
    """A process with no descriptors left, or a filter."""

    def refuse(*arguments):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    made = module(f'(memory (export "memory") 2) (data (i32.const 0) "{BLOCK}")')
    with EventRecorder(made.engine.bus, ImageRefused) as recorder:
        memory = Linker(made.engine).instantiate_pre(made).instantiate(Store(made.engine)).exports.memory
    assert memory.read(0, 4) == b"ZZZZ" and not memory.shows
    assert "Too many open files" in recorder.events[0].error


def test_a_file_that_cannot_be_sealed_is_closed(monkeypatch):
    """No descriptor is left behind."""

    def refuse(*arguments):
        raise OSError(1, "no")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="no"):
        images.sealed_file([b"x"])
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_region_shows_one_image_and_only_where_it_is_committed():
    """What native code would otherwise map over is refused."""
    from stratavm.runtime.region import Region

    made = make_images(module(f'(memory 2) (data (i32.const 0) "{BLOCK}")').model)
    other = make_images(module(f'(memory 2) (data (i32.const 0) "{BLOCK}")').model)
    (image,), (second,) = made.by_memory.values(), other.by_memory.values()
    region = Region(4 * PAGE)
    with pytest.raises(ValueError, match="committed region"):
        region.show(image)
    assert region.commit(PAGE) and not region.commit(5 * PAGE)
    assert region.show(image) and region.show(image)
    with pytest.raises(ValueError, match="committed region"):
        region.show(second)
    region.conceal()
    assert (region.image, region.committed) == (0, PAGE) and region.show(second)


def test_a_region_that_shows_part_of_an_image_says_so():
    """Then the next tenant of a slot has it taken away, whatever stopped it."""
    from stratavm.runtime.region import Region, all_zero

    (image,) = make_images(module(f'(memory 2) (data (i32.const 0) "{BLOCK}")').model).by_memory.values()

    def runs():
        yield from image.runs
        raise OSError(12, "stopped")

    region = Region(4 * PAGE)
    region.commit(2 * PAGE)
    partly = SimpleNamespace(serial=image.serial, end=image.end, descriptor=image.descriptor, runs=runs())
    with pytest.raises(OSError, match="stopped"):
        region.show(partly)
    assert region.image not in (0, image.serial)
    region.conceal()
    assert region.image == 0 and all_zero(region.address, 2 * PAGE)
