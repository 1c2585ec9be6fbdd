"""The atomic instructions on the oracle: a read, a sum and a write in turn, or one access where a memory is shared.

Source: the proposal threads. An address that is no multiple of the width traps before bounds are looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.errors import Trap
from stratavm.base.forms import Any, Final
from stratavm.tiers.oracle.flatten import Op
from stratavm.tiers.oracle.protocols import InstanceLike, Step, within

CHANGES: Final[dict[str, Callable[[int, int], int]]] = {
    "add": int.__add__,
    "sub": int.__sub__,
    "and": int.__and__,
    "or": int.__or__,
    "xor": int.__xor__,
    "xchg": lambda old, new: new,
}
"""What an operation puts in the place of what was there; bits above the width are cut off."""


SHARED_NAMES: Final = {"and": "and_", "or": "or_", "xchg": "exchange", "cmpxchg": "compare_exchange"}
"""What those operations of a shared memory are called that have another name."""
WAIT_RESULTS: Final = ("ok", "not-equal", "timed-out")


def at_once(what: str, size: int, place: Callable[[int], int], memory: Any) -> Step:
    """The step on a memory that other threads look at."""
    mask = (1 << 8 * size) - 1
    access = getattr(memory, SHARED_NAMES.get(what, what.rstrip("0123456789")))

    def load(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = access(place(stack[-1]), size)

    def store(stack: list[int], locals_: list[int]) -> None:
        value = stack.pop() & mask
        access(place(stack.pop()), value, size)

    def change(stack: list[int], locals_: list[int]) -> None:
        operand = stack.pop() & mask
        stack[-1] = access(place(stack[-1]), operand, size)

    def exchange(stack: list[int], locals_: list[int]) -> None:
        new, expected = stack.pop() & mask, stack.pop() & mask
        stack[-1] = access(place(stack[-1]), expected, new, size)

    def wait(stack: list[int], locals_: list[int]) -> None:
        timeout, expected = stack.pop(), stack.pop()
        seconds = None if timeout >> 63 else timeout / 1e9
        stack[-1] = WAIT_RESULTS.index(access(place(stack[-1]), expected, seconds, size))

    def notify(stack: list[int], locals_: list[int]) -> None:
        count = stack.pop()
        stack[-1] = access(place(stack[-1]), count)

    for name, step in (("cmpxchg", exchange), ("wait", wait), ("notify", notify), ("load", load), ("store", store)):
        if what.startswith(name):
            return step
    return change


def atomic(op: Op, instance: InstanceLike) -> Step:
    """The step for an atomic instruction."""
    if op.name == "atomic.fence":
        return lambda stack, locals_: None
    index, offset = op.imms[0]
    memory, access = instance.memories[index], op.row.access
    assert access is not None
    size, mask = access.bytes, (1 << 8 * access.bytes) - 1
    what = op.name.split(".")[-1].removesuffix("_u")

    def place(address: int) -> int:
        at: int = address + offset
        if at % size:
            raise Trap("unaligned_atomic", detail=f"{size} bytes at {at:#x}")
        within(memory, at, size)
        return at

    shared = getattr(memory, "shared", None)
    if shared is not None:
        return at_once(what, size, place, shared)

    def get(at: int) -> int:
        content: bytes = memory.read(at, size)
        return int.from_bytes(content, "little")

    def put(at: int, value: int) -> None:
        memory.put(at, (value & mask).to_bytes(size, "little"))

    def load(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = get(place(stack[-1]))

    def store(stack: list[int], locals_: list[int]) -> None:
        value = stack.pop()
        put(place(stack.pop()), value)

    def exchange(stack: list[int], locals_: list[int]) -> None:
        new, expected = stack.pop(), stack.pop()
        at = place(stack[-1])
        stack[-1] = get(at)
        if stack[-1] == expected & mask:
            put(at, new)

    def notify(stack: list[int], locals_: list[int]) -> None:
        stack.pop()
        place(stack[-1])
        stack[-1] = 0

    def wait(stack: list[int], locals_: list[int]) -> None:
        place(stack[-3])
        raise Trap("not_shared")

    def change(stack: list[int], locals_: list[int]) -> None:
        operand = stack.pop()
        at = place(stack[-1])
        stack[-1] = get(at)
        put(at, compute(stack[-1], operand))

    compute = CHANGES.get(what, int.__add__)
    if what == "cmpxchg":
        return exchange
    if what == "notify":
        return notify
    if what.startswith("wait"):
        return wait
    if what.startswith("load"):
        return load
    return store if what.startswith("store") else change
