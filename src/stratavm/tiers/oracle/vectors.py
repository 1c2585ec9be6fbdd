"""Vectors on the oracle: computations with immediates, and accesses that are made of a narrower one and another row."""

from __future__ import annotations

from stratavm.spec.concrete import DOMAINS
from stratavm.spec.ops import BY_MNEMONIC
from stratavm.tiers.oracle.flatten import Op
from stratavm.tiers.oracle.protocols import InstanceLike, Step, within


def lanes(op: Op, instance: InstanceLike) -> Step:
    """The step for a row with lanes in its immediates: those of a shuffle, or one."""
    meaning, domain, chosen = BY_MNEMONIC[op.row.mnemonic].semantics, DOMAINS["v128"], op.imms[0]
    assert meaning is not None, op

    def unary(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = meaning(domain, stack[-1], chosen)

    def binary(stack: list[int], locals_: list[int]) -> None:
        right = stack.pop()
        stack[-1] = meaning(domain, stack[-1], right, chosen)

    return unary if len(op.row.operands) == 1 else binary


def access(op: Op, instance: InstanceLike) -> Step:
    """The step for an access that ``via`` of its row takes part in."""
    (index, offset), *lane = op.imms
    memory, width, meaning = instance.memories[index], op.row.access, BY_MNEMONIC[op.row.via].semantics
    assert width is not None
    assert meaning is not None, op
    size, domain = width.bytes, DOMAINS["v128"]

    def load(stack: list[int], locals_: list[int]) -> None:
        at = stack[-1] + offset
        within(memory, at, size)
        stack[-1] = meaning(domain, int.from_bytes(memory.read(at, size), "little"))

    def load_lane(stack: list[int], locals_: list[int]) -> None:
        vector = stack.pop()
        at = stack[-1] + offset
        within(memory, at, size)
        stack[-1] = meaning(domain, vector, int.from_bytes(memory.read(at, size), "little"), *lane)

    def store_lane(stack: list[int], locals_: list[int]) -> None:
        value = meaning(domain, stack.pop(), *lane)
        at = stack.pop() + offset
        within(memory, at, size)
        memory.put(at, value.to_bytes(size, "little"))

    if width.store:
        return store_lane
    return load_lane if lane else load
