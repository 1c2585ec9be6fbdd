"""Claims about images of memories with 64-bit addresses: data at constant places is laid out once."""

import pytest

from stratavm import Engine, Linker, Module, Store, Trap
from stratavm.base.errors import ValidationError
from stratavm.engine.events import ImageLaidOut
from stratavm.testing import EventRecorder

IMAGED = """(module (memory (export "memory") {bits} 2) (memory $b (export "b") 1)
  (data (i64.const 70000) "far") {more} (data (memory $b) (i32.const 5) "narrow")
  (func (export "peek") (param i64) (result i32) (i32.load8_u (local.get 0))))"""


def laid_out(text, **options):
    """The exports of two instances, and how many images were laid out for them."""
    engine = Engine(memory_images="always", **options)
    with EventRecorder(engine.bus) as recorder:
        module = Module(text, engine=engine)
        found = [Linker(engine).instantiate(Store(engine), module).exports for _ in range(2)]
        engine.bus.drain()
    return found, sum(type(event) is ImageLaidOut for event in recorder.events)


@pytest.mark.parametrize("options", [{"tier": "jit0"}, {"tier": "jit1", "memory_plan": "bounded"}, {"tier": "oracle"}])
def test_data_at_constant_places_is_laid_out_once(options):
    """As over 32-bit addresses, between segments of both widths; each instance writes to its own pages."""
    (one, other), images = laid_out(IMAGED.format(bits="i64", more='(data (i64.const 0) "near")'), **options)
    assert images >= 1
    for exports in (one, other):
        assert exports.memory.read(70000, 3) == b"far" and exports.memory.read(0, 5) == b"near\0"
        assert exports.b.read(5, 6) == b"narrow" and exports.peek(70001) == ord("a")
        exports.memory.write(70000, b"own")
    assert other.memory.read(70000, 3) == b"own"


@pytest.mark.parametrize("place", ["0x1_0000_0000", "-1", "0x7fff_ffff_ffff_ffff", "131071"])
def test_data_that_does_not_fit_traps_as_before(place):
    """Behind segments that do; at places that 32 bits do not hold, and at the end."""
    text = IMAGED.format(bits="i64", more=f'(data (i64.const {place}) "ab")')
    with pytest.raises(Trap, match=f"data segment 1 at {int(place, 0) & (1 << 64) - 1:#x} of 0x20000 bytes"):
        laid_out(text)


def test_a_place_has_the_type_of_its_memory():
    """A constant of the other width is none, wherever it would go."""
    with pytest.raises(ValidationError, match="type mismatch"):
        Module(IMAGED.format(bits="", more=""))
    with pytest.raises(ValidationError, match="type mismatch"):
        Module('(module (memory i64 1) (data (i32.const 0) "a"))')


@pytest.mark.parametrize("length", range(1, 11))
def test_a_place_may_be_spelled_longer(length):
    """As LEB128 allows, up to ten bytes."""
    spelled = bytes([0x85, *[0x80] * (length - 2), 0x00][:length]) if length > 1 else b"\x05"
    memory = bytes([5, 3, 1, 4, 1])
    segment = bytes([1, 0, 0x42, *spelled, 0x0B, 2]) + b"hi"
    exported = bytes([7, 5, 1, 1]) + b"m" + bytes([2, 0])
    binary = b"\0asm\1\0\0\0" + memory + exported + bytes([11, len(segment)]) + segment
    (one, _), _ = laid_out(binary)
    assert one.m.read(4, 4) == b"\0hi\0"
