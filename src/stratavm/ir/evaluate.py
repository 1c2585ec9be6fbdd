"""An evaluator of the SSA form in plain Python: the domain of numbers run on nodes. For differential tests of the
builder and of every pass: same instance, same arguments, same results and traps as the oracle.

It works over any instance that the oracle works over; calls go through the callee's ``call_raw``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial

from stratavm.base.errors import TRAP_KINDS, StrataError, Trap
from stratavm.base.forms import Any, Final, dataclass, field
from stratavm.base.thrown import WasmException
from stratavm.ir.ssa import IR_OPS, NOTHING, Ssa
from stratavm.ir.text import CHECKED
from stratavm.ir.view import NodeFields, SsaView
from stratavm.spec.concrete import DOMAINS
from stratavm.spec.domain import LETTER_TYPES, WIDTHS, bound_type
from stratavm.spec.ops import BY_ID
from stratavm.spec.record import Row
from stratavm.spec.types import Limits

NAMES: Final[dict[int, str]] = {number: name for name, number in IR_OPS.items()}
EXCEPTIONAL: Final = frozenset({"throw", "throw_ref", "caught", "tag", "exn"})
MASK32: Final = 0xFFFF_FFFF
MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
POISON: Final = None
"""The value of a node that was not evaluated: arithmetic on it fails loudly."""


class OutOfSteps(StrataError):
    """The evaluation took more steps than allowed."""


@dataclass(slots=True)
class Evaluation:
    """One activation. ``steps`` bounds the nodes evaluated."""

    view: SsaView
    instance: Any
    args: list[int]
    steps: int = 1_000_000
    values: list[Any] = field(default_factory=list)
    thrown: WasmException | None = None
    """The exception in flight."""
    tags: dict[object, int] = field(default_factory=dict)
    waits: bool = True
    """Whatever has a value keeps it to the end."""
    results: list[int] = field(default_factory=list)

    def held_handles(self) -> set[int]:
        """Every value that may be a reference."""
        found = [v for value in self.values for v in (value if isinstance(value, list) else [value])]
        return {v for v in (*found, *self.args) if isinstance(v, int)}

    def run(self) -> list[int]:
        """The results, or a trap. Code that needs no instance may have none, or what is less than one."""
        if not hasattr(self.instance, "begin_run"):
            return self.step()
        end_run = self.instance.end_run  # there may be no memory for a method where a run ends
        self.instance.begin_run(self)
        try:
            self.results = self.step()
            return self.results
        finally:
            end_run(self)

    def step(self) -> list[int]:
        """Block after block."""
        self.values = [POISON] * len(self.view.nodes)
        block, incoming = 0, list(self.args)
        while True:
            first, last, n_params = self.view.blocks[block][:3]
            if len(incoming) != n_params:
                raise AssertionError(f"block {block} has {n_params} parameters, the edge brings {len(incoming)}")
            self.values[first : first + n_params] = incoming
            edge = self.straight(first + n_params, self.view.nodes[last - 1], last - 1)
            if isinstance(edge, list):
                return edge
            target, start, count = self.view.edges[edge]
            incoming = [self.values[v] for v in self.view.args[start : start + count]]
            block = target

    def straight(self, first: int, ends: NodeFields, last: int) -> Any:
        """The nodes of a block and its terminator: the edge to follow, or the results."""
        index = first
        try:
            for index in range(first, last):
                self.steps -= 1
                self.values[index] = self.node(self.view.nodes[index])
        except WasmException as error:
            if NAMES.get(ends[0]) != "invoke" or ends[3] != index or self.instance.caught(error) is None:
                raise
            self.thrown = error
            return ends[5]
        if self.steps <= 0:
            raise OutOfSteps("the evaluator's steps are used up")
        self.steps -= 1
        return self.terminator(ends)

    def terminator(self, node: NodeFields) -> Any:
        """The edge to follow, or the results."""
        op, _, _, a, b, c = node
        name = NAMES.get(op)
        if name == "br":
            return c
        if name == "br_if":
            return b if self.values[a] else c
        if name == "invoke":
            return b
        if name == "br_table":
            return b + min(self.values[a], c - 1)
        if name == "return":
            return [self.values[v] for v in self.view.args[b : b + c]]
        if name == "trap":
            raise Trap(TRAP_KINDS[c].name)
        if name is None and (call := _TAIL_CALLS.get(BY_ID[op].mnemonic)) is not None:
            return call(self, node)
        raise AssertionError(f"{name or BY_ID[op].mnemonic} ends a block")

    def node(self, node: NodeFields) -> Any:
        """The value of a node that is not a terminator."""
        op, _, _, a, b, c = node
        name = NAMES.get(op)
        if name == "const":
            return a | b << 32
        if name == "const_v128":
            return self.pair(a)
        if name == "result":
            return self.values[a][c]
        if name == "fuel":
            self.instance.charge(c)
            return POISON
        if name in ("mulhi_u", "mulhi_s"):
            left, right = (v - (v >> 63 << 64) if name == "mulhi_s" else v for v in (self.values[a], self.values[b]))
            return left * right >> 64 & MASK64
        if name == "memory_bytes":
            return len(self.instance.memories[c])
        if name == "poll":
            if a != NOTHING:
                self.instance.globals[c].bits = int(self.values[a])
            self.others_run()
            return self.instance.globals[c].bits if a != NOTHING else POISON
        if name == "nop":
            return POISON
        if name in EXCEPTIONAL:
            return self.exceptional(name, node)
        if name is not None:
            raise AssertionError(f"{name} in the middle of a block")
        row = BY_ID[op]
        rule = _RULES.get(row.mnemonic)
        if rule is not None:
            return rule(self, node)
        if row.walk == "atomic":
            return self.atomic(row, node) if row.access is not None else POISON
        if row.access is not None:
            return self.access(row, node)
        assert row.semantics is not None, row
        operands = [self.values[v] for v in (a, b, c)[: len(row.operands)]]
        if row.walk == "lane":
            operands.append(c)
        elif row.walk == "lanes":
            operands.append(self.pair(c).to_bytes(16, "little"))
        return row.semantics(DOMAINS[bound_type(row)], *operands)

    def pair(self, index: int) -> int:
        """Two words of the constants: 128 bits."""
        low, high = self.view.constants[index : index + 2]
        return low | high << 64

    def exceptional(self, name: str, node: NodeFields) -> Any:
        """What throws, and what looks at the exception in flight."""
        _, _, _, a, _, c = node
        if name == "throw":
            raws, tag, _ = self.wide(node)
            raise self.instance.exception(tag, [int(v) for v in raws])
        if name == "tag":
            return self.number(self.instance.tag_key(c))
        if name == "throw_ref" and a != NOTHING:
            if not self.values[a]:
                raise Trap("null_reference")
            raise self.instance.exception_of(int(self.values[a]))
        assert self.thrown is not None
        if name == "throw_ref":
            raise self.thrown
        if name == "exn":
            return self.instance.exn_ref(self.thrown, self)
        tag, raws = self.instance.caught(self.thrown)
        return raws[c - 1] if c else self.number(tag)

    def number(self, key: object) -> int:
        """A tag as a number: equal ones have the same."""
        return self.tags.setdefault(key, 1 + len(self.tags))

    def others_run(self) -> None:
        """What happens at a poll: nothing, where a test does not say otherwise."""

    def access(self, row: Row, node: NodeFields) -> Any:
        """A load or store."""
        _, _, flags, a, b, c = node
        offset, index, _ = self.view.memargs[c]
        memory, access = self.instance.memories[index], row.access
        assert access is not None
        address = self.values[a] + offset
        if flags & CHECKED and address + access.bytes > len(memory):
            raise AssertionError(f"{row.mnemonic} at {address:#x} is marked as checked, the memory ends before")
        if access.store:
            memory.put(address, (self.values[b] & (1 << 8 * access.bytes) - 1).to_bytes(access.bytes, "little"))
            return POISON
        mask = (1 << WIDTHS[LETTER_TYPES[row.results]]) - 1
        return int.from_bytes(memory.read(address, access.bytes), "little", signed=access.signed) & mask

    def atomic(self, row: Row, node: NodeFields) -> Any:
        """An atomic access, of the one thread that there is: nobody wakes it, so that a wait times out."""
        (address, *values), where, _ = self.wide(node)
        offset, index, _ = self.view.memargs[where]
        memory, access, name = self.instance.memories[index], row.access, row.mnemonic.split(".")[-1]
        assert access is not None
        address, mask = address + offset, (1 << 8 * access.bytes) - 1
        if address % access.bytes:
            raise AssertionError(f"{row.mnemonic} at {address:#x}, which was looked at before")
        old = int.from_bytes(memory.read(address, access.bytes), "little")
        if name == "notify":
            return 0
        if name.startswith("wait"):
            if old != values[0]:
                return 1
            assert values[1] >> 63 == 0, "a wait for ever"
            return 2
        new: int | None = None
        if name.startswith("cmpxchg"):
            new = values[1] if old == values[0] & mask else None
        elif name.startswith("store"):
            new = values[0]
        elif not name.startswith("load"):
            new = _CHANGES[name.removesuffix("_u")](old, values[0])
        if new is not None:
            memory.put(address, (new & mask).to_bytes(access.bytes, "little"))
        return old if row.results else POISON

    def wide(self, node: NodeFields) -> tuple[list[Any], int, int]:
        """Operands and the two immediates of a wide node."""
        b, n = node[4], node[5]
        args = self.view.args
        return [self.values[v] for v in args[b : b + n]], args[b + n], args[b + n + 1]


def evaluate(ssa: Ssa | SsaView, instance: Any, args: list[int], steps: int = 1_000_000) -> list[int]:
    """Run a function in SSA form on raw bits."""
    view = ssa.dump() if isinstance(ssa, Ssa) else ssa
    return Evaluation(view, instance, args, steps).run()


_CHANGES: Final[dict[str, Callable[[int, int], int]]] = {
    "add": operator.add,
    "sub": operator.sub,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "xchg": lambda old, new: new,
}
"""What an atomic operation puts in the place of what was there; bits above the width are cut off."""


class _Results(int):
    """The first result of a call, which also knows the others."""

    others: list[int]

    def __getitem__(self, index: int) -> int:
        return self.others[index]


def _called(call: Callable[[Evaluation, NodeFields], list[int]], e: Evaluation, node: NodeFields) -> Any:
    """The value of a call node: its first result."""
    results = call(e, node)
    if not results:
        return POISON
    value = _Results(results[0])
    value.others = results
    return value


def _call(e: Evaluation, node: NodeFields) -> list[int]:
    operands, index, _ = e.wide(node)
    results: list[int] = e.instance.callee(index).call_raw([int(v) for v in operands])
    return results


def _call_indirect(e: Evaluation, node: NodeFields) -> list[int]:
    operands, type_index, table_index = e.wide(node)
    table = e.instance.tables[table_index]
    element = operands.pop()
    if element >= len(table):
        raise Trap("undefined_element")
    raw = table.get(element)
    if not raw:
        raise Trap("uninitialized_element")
    callee = e.instance.resolve_func(raw)
    if not e.instance.has_type(callee, type_index):
        raise Trap("indirect_call_mismatch")
    results: list[int] = callee.call_raw([int(v) for v in operands])
    return results


def _call_ref(e: Evaluation, node: NodeFields) -> list[int]:
    operands, _, _ = e.wide(node)
    raw = operands.pop()
    if not raw:
        raise Trap("null_function")
    results: list[int] = e.instance.resolve_func(raw).call_raw([int(v) for v in operands])
    return results


_CALLS: Final = {"call": _call, "call_indirect": _call_indirect, "call_ref": _call_ref}
_TAIL_CALLS: Final = {f"return_{name}": call for name, call in _CALLS.items()}


def _ref_as_non_null(e: Evaluation, node: NodeFields) -> Any:
    if not e.values[node[3]]:
        raise Trap("null_reference")
    return e.values[node[3]]


def _select(e: Evaluation, node: NodeFields) -> Any:
    return e.values[node[3]] if e.values[node[5]] else e.values[node[4]]


def _global_get(e: Evaluation, node: NodeFields) -> Any:
    return e.instance.globals[node[5]].bits


def _global_set(e: Evaluation, node: NodeFields) -> Any:
    e.instance.globals[node[5]].bits = int(e.values[node[3]])


def _range(kind: str, size: int, start: int, count: int) -> None:
    """Trap unless a range lies inside."""
    if start + count > size:
        raise Trap(kind)


def _memory_copy(e: Evaluation, node: NodeFields) -> Any:
    (target, source, count), to, from_ = e.wide(node)
    _range("memory_out_of_bounds", len(e.instance.memories[from_]), source, count)
    _range("memory_out_of_bounds", len(e.instance.memories[to]), target, count)
    e.instance.memories[to].put(target, e.instance.memories[from_].read(source, count))


def _memory_fill(e: Evaluation, node: NodeFields) -> Any:
    (target, value, count), index, _ = e.wide(node)
    _range("memory_out_of_bounds", len(e.instance.memories[index]), target, count)
    e.instance.memories[index].put(target, bytes((value & 0xFF,)) * count)


def _memory_init(e: Evaluation, node: NodeFields) -> Any:
    (target, source, count), segment, index = e.wide(node)
    data = e.instance.data_segment(segment)
    _range("memory_out_of_bounds", len(data), source, count)
    _range("memory_out_of_bounds", len(e.instance.memories[index]), target, count)
    e.instance.memories[index].put(target, bytes(data[source : source + count]))


def _table_get(e: Evaluation, node: NodeFields) -> Any:
    return e.instance.tables[node[5]].get(e.values[node[3]])


def _table_set(e: Evaluation, node: NodeFields) -> Any:
    e.instance.tables[node[5]].set(e.values[node[3]], int(e.values[node[4]]))


def _mask(limits: Limits) -> int:
    """The bits of an address."""
    return MASK64 if limits.is64 else MASK32


def _memory_grow(e: Evaluation, node: NodeFields) -> Any:
    memory = e.instance.memories[node[5]]
    return memory.extend(e.values[node[3]]) & _mask(memory.type.limits)


def _table_grow(e: Evaluation, node: NodeFields) -> Any:
    (raw, delta), index, _ = e.wide(node)
    table = e.instance.tables[index]
    return table.extend(delta, raw) & _mask(table.type.limits)


def _table_fill(e: Evaluation, node: NodeFields) -> Any:
    (start, raw, count), index, _ = e.wide(node)
    _range("table_out_of_bounds", len(e.instance.tables[index]), start, count)
    for i in range(start, start + count):
        e.instance.tables[index].set(i, raw)


def _table_copy(e: Evaluation, node: NodeFields) -> Any:
    (target, source, count), to, from_ = e.wide(node)
    _range("table_out_of_bounds", len(e.instance.tables[from_]), source, count)
    _range("table_out_of_bounds", len(e.instance.tables[to]), target, count)
    moved = [e.instance.tables[from_].get(source + i) for i in range(count)]
    for i, raw in enumerate(moved):
        e.instance.tables[to].set(target + i, raw)


def _table_init(e: Evaluation, node: NodeFields) -> Any:
    (target, source, count), segment, index = e.wide(node)
    elements = e.instance.elem_segment(segment)
    _range("table_out_of_bounds", len(elements), source, count)
    _range("table_out_of_bounds", len(e.instance.tables[index]), target, count)
    for i in range(count):
        e.instance.tables[index].set(target + i, elements[source + i])


_RULES: Final[dict[str, Callable[[Evaluation, NodeFields], Any]]] = {
    **{name: partial(_called, call) for name, call in _CALLS.items()},
    "select": _select,
    "global.get": _global_get,
    "global.set": _global_set,
    "memory.size": lambda e, node: e.instance.memories[node[5]].size_pages,
    "memory.grow": _memory_grow,
    "memory.copy": _memory_copy,
    "memory.fill": _memory_fill,
    "memory.init": _memory_init,
    "data.drop": lambda e, node: e.instance.drop_data(node[5]),
    "table.get": _table_get,
    "table.set": _table_set,
    "table.size": lambda e, node: len(e.instance.tables[node[5]]),
    "table.grow": _table_grow,
    "table.fill": _table_fill,
    "table.copy": _table_copy,
    "table.init": _table_init,
    "elem.drop": lambda e, node: e.instance.drop_elem(node[5]),
    "ref.func": lambda e, node: e.instance.func_ref(node[5]),
    "ref.as_non_null": _ref_as_non_null,
    "ref.is_null": lambda e, node: 0 if e.values[node[3]] else 1,
}
