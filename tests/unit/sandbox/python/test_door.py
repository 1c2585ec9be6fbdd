"""Claims about the door of an interpreter: what a hostile guest asks, and where it lets answers be put."""

import json
import marshal

import pytest

import stratavm
from stratavm.sandbox.python.door import FAULT, NO_HOST, Door
from stratavm.sandbox.python.frames import ANSWER_BYTES

ROOM = 64 << 10


@pytest.fixture
def memory():
    """A page of a guest."""
    return stratavm.load('(module (memory (export "m") 1 8))').exports.m


class Desk:
    """A door whose guest allocates as it is told."""

    def __init__(self, memory, allocate=lambda size: 4096):
        self.memory, self.door = memory, Door(b"text")
        self.door.allocate = allocate

    def ask(self, data, where=0, length=4, at=1024):
        """The number that the import gives, and the answer."""
        self.memory.write(at, data)
        status = self.door.call(self.memory, at, len(data), where, length)
        if status:
            return status, None
        place, size = (int.from_bytes(self.memory.read(address, 4), "little") for address in (where, length))
        return status, bytes(self.memory.read(place, size))


def test_the_driver_and_the_task_are_given(memory):
    """The task only within a turn."""
    desk = Desk(memory)
    assert desk.ask(b"\0d") == (0, b"text")
    assert desk.ask(b"\0t") == (NO_HOST, None)
    desk.door.begin({"code": "é"})
    status, task = desk.ask(b"\0t")
    assert status == 0 and marshal.loads(task) == {"code": "é", "n": 1}
    desk.door.end()
    assert desk.ask(b"\0t") == (NO_HOST, None)


def test_the_first_answer_counts(memory):
    """What is forged, doubled, late or of another task is a fault."""
    desk = Desk(memory)
    early = b"\0a" + json.dumps({"n": 1, "code": 0, "value": "early"}).encode()
    desk.ask(early)
    assert desk.door.answer is None
    desk.door.begin({})
    for wrong in (b"\0a", b"\0a[]", b"\0a{}", early.replace(b'"n": 1', b'"n": 2')):
        desk.ask(wrong)
        assert desk.door.answer is None
    desk.ask(early.replace(b"early", b"first"))
    desk.ask(early.replace(b"early", b"again"))
    assert (desk.door.answer.value, desk.door.faults) == ("first", 5)
    desk.door.end()
    desk.ask(early.replace(b"early", b"late"))
    desk.door.begin({})
    assert (desk.door.answer, desk.door.faults) == (None, 0)


@pytest.mark.parametrize("data", [b"", b"x", b"{}", b"\0", b"\0x", b"\0tt", b"\0d0"])
def test_what_nobody_answers(memory, data):
    """By the number that says so."""
    desk = Desk(memory)
    desk.door.begin({})
    assert desk.ask(data) == (NO_HOST, None)


@pytest.mark.parametrize(
    ("request_at", "size"),
    [(0, ANSWER_BYTES + 1), (0, 0xFFFFFFFF), (0xFFFFFFFF, 2), (ROOM - 1, 2), (ROOM, 1), (0xFFFFFFFF, 0xFFFFFFFF)],
)
def test_lengths_beyond_memory_or_budget_are_refused_unread(memory, request_at, size):
    """Nothing is copied."""
    desk = Desk(memory)
    assert desk.door.call(memory, request_at, size, 0, 4) == FAULT
    assert desk.door.faults == 1


@pytest.mark.parametrize(
    ("allocate", "where", "length"),
    [
        (lambda size: 0, 0, 4),
        (lambda size: ROOM - 1, 0, 4),
        (lambda size: -1, 0, 4),
        (lambda size: 0xFFFFFFFF, 0, 4),
        (lambda size: 4096, ROOM - 3, 4),
        (lambda size: 4096, 0, 0xFFFFFFFF),
    ],
)
def test_places_that_are_none(memory, allocate, where, length):
    """An allocator that lies is told so; nothing is written beyond the memory."""
    desk = Desk(memory, allocate)
    assert desk.ask(b"\0d", where, length) == (FAULT, None)
    assert desk.door.faults == 1


def test_an_allocator_that_makes_memory_grow(memory):
    """The answer is where it says, in the new part too."""
    desk = Desk(memory, lambda size: memory.grow(1) * ROOM + 100)
    assert desk.ask(b"\0d") == (0, b"text")


def test_an_allocator_that_asks_again(memory):
    """Within a request there is no other."""
    desk = Desk(memory)
    seen = []

    def allocate(size):
        seen.append(desk.door.call(memory, 1024, 2, 0, 4))
        return 4096

    desk.door.allocate = allocate
    assert desk.ask(b"\0d") == (0, b"text") and seen == [FAULT]


def test_an_allocator_that_traps(memory):
    """The trap ends the turn; the door is not closed by it."""
    desk = Desk(memory, stratavm.load('(module (func (export "f") (param i32) (result i32) unreachable))').exports.f)
    with pytest.raises(stratavm.Trap, match="unreachable"):
        desk.ask(b"\0d")
    desk.door.allocate = lambda size: 4096
    assert desk.ask(b"\0d") == (0, b"text")
