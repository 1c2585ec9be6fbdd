"""Bytes of a function body to a flat list of operations: structure resolved to labels, dead code left out.

Owns immediates and the shape of control; ``bind.py`` gives the operations their effect. The code must be valid: operand
heights are tracked to know what a branch keeps and drops, and nothing is checked.
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.budget import check
from stratavm.base.errors import Unsupported
from stratavm.base.forms import Any, Final, NamedTuple, dataclass, field
from stratavm.base.leb import read_sleb, read_uleb
from stratavm.module.model import Function, Module
from stratavm.spec.index import BY_CODE, opcode_at
from stratavm.spec.record import Row
from stratavm.spec.types import REF, REF_NULL, FuncType, StructType

EMPTY_BLOCK = -0x40
ROWS: Final = 1 << 10
"""Instructions between two polls while a body is flattened or bound: a power of two."""


@dataclass(slots=True)
class Label:
    """The target of branches: where it is, how many values it takes, and on what operand height it puts them."""

    keep: int
    height: int
    pc: int = -1


class Jump(NamedTuple):
    """A branch to a label; ``cut`` if the operand stack holds more than the label takes."""

    label: Label
    cut: bool


class Op(NamedTuple):
    """One operation. ``name`` is the row's mnemonic, ``br_unless`` (an if's jump over its first sequence), or ``fuel``
    (a basic block's charge, before it runs).
    """

    name: str
    row: Row
    imms: tuple[Any, ...]
    position: int


@dataclass(slots=True)
class Clause:
    """What a handler catches: exceptions of ``tag``, or all of them (None). The values go where a branch to ``label``
    puts them, behind them the exception itself if ``gives``; an arm keeps it in the local ``keeps`` for rethrow.
    """

    tag: int | None
    label: Label
    gives: bool = False
    keeps: int | None = None


@dataclass(slots=True, eq=False)
class Handler:
    """A ``try_table``, or a ``try``: it catches what operations from ``first`` up to ``end`` throw. What has no clause
    here is looked for in ``outer``.
    """

    first: int
    outer: Handler | None
    end: int = -1
    clauses: list[Clause] = field(default_factory=list)


class Flat(NamedTuple):
    """A flat body: operations, the greatest height of its operand stack, handlers with the inner ones first, and how
    many locals it has besides its own.
    """

    ops: list[Op]
    max_height: int
    handlers: list[Handler]
    hidden: int


@dataclass(slots=True)
class _Block:
    """An open structured instruction."""

    opcode: str
    label: Label
    params: int
    results: int
    otherwise: Label | None = None
    handler: Handler | None = None
    """Of a ``try_table`` or ``try``, while its body is open."""
    parted: Handler | None = None
    """Of a ``try``, once its first arm has begun."""
    arm: Clause | None = None
    """Of a ``try`` of which an arm is open."""


def _read_valtype(code: bytes, at: int) -> int:
    """Skip a value type: the position behind it."""
    kind = code[at]
    return read_sleb(code, at + 1, 33)[1] if kind in (REF, REF_NULL) else at + 1


def _read_memarg(code: bytes, at: int) -> tuple[tuple[int, int], int]:
    """(memory, offset): bit 6 of the alignment announces a memory index."""
    align, at = read_uleb(code, at)
    memory = 0
    if align & 0x40:
        memory, at = read_uleb(code, at)
    offset, at = read_uleb(code, at, 64)
    return (memory, offset), at


def _read_labels(code: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """The vector of br_table and its default, which comes last."""
    count, at = read_uleb(code, at)
    labels = []
    for _ in range(count + 1):
        label, at = read_uleb(code, at)
        labels.append(label)
    return tuple(labels), at


def _read_blocktype(code: bytes, at: int) -> tuple[int, int]:
    """A type index, ``EMPTY_BLOCK``, or another negative number for a single result."""
    value, behind = read_sleb(code, at, 33)
    return (value, behind) if value >= 0 or value == EMPTY_BLOCK else (-1, _read_valtype(code, at))


def _read_valtypes(code: bytes, at: int) -> tuple[None, int]:
    """The types of a typed select: raw bits need none."""
    count, at = read_uleb(code, at)
    for _ in range(count):
        at = _read_valtype(code, at)
    return None, at


def _read_catches(code: bytes, at: int) -> tuple[tuple[tuple[int, int | None, int], ...], int]:
    """The clauses of a ``try_table``: kind, tag, label."""
    count, at = read_uleb(code, at)
    clauses = []
    for _ in range(count):
        kind, at = code[at], at + 1
        tag = None
        if kind < 2:
            tag, at = read_uleb(code, at)
        label, at = read_uleb(code, at)
        clauses.append((kind, tag, label))
    return tuple(clauses), at


def _read_immediate(kind: str, code: bytes, at: int) -> tuple[Any, int]:
    """One immediate and the position behind it."""
    match kind:
        case "i32":
            value, at = read_sleb(code, at, 32)
            return value & 0xFFFF_FFFF, at
        case "i64":
            value, at = read_sleb(code, at, 64)
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        case "f32":
            return int.from_bytes(code[at : at + 4], "little"), at + 4
        case "f64":
            return int.from_bytes(code[at : at + 8], "little"), at + 8
        case "v128":
            return int.from_bytes(code[at : at + 16], "little"), at + 16
        case "lanes16":
            return code[at : at + 16], at + 16
        case "lane" | "castflags":
            return code[at], at + 1
        case "memarg":
            return _read_memarg(code, at)
        case "labels":
            return _read_labels(code, at)
        case "blocktype":
            return _read_blocktype(code, at)
        case "catches":
            return _read_catches(code, at)
        case "valtypes":
            return _read_valtypes(code, at)
        case "heaptype":
            return read_sleb(code, at, 33)
    return read_uleb(code, at)


_NET = {
    "drop": -1, "select": -2, "select_t": -2, "local.get": 1, "local.set": -1, "local.tee": 0, "global.get": 1,
    "global.set": -1, "table.get": 0, "table.set": -2, "table.grow": -1, "table.fill": -3, "ref.null": 1,
    "ref.is_null": 0, "ref.func": 1, "ref.as_non_null": 0,
}  # fmt: skip
"""Change of the operand height by the rows whose typing is polymorphic."""


_OBJECT_NET = {
    "struct.new_default": 1, "struct.set": -2, "array.new": -1, "array.new_data": -1, "array.new_elem": -1,
    "array.get": -1, "array.get_s": -1, "array.get_u": -1, "array.set": -3, "array.fill": -4, "array.copy": -5,
    "array.init_data": -4, "array.init_elem": -4, "ref.eq": -1,
}  # fmt: skip
"""The same by the rows of objects that have no types as operands; those that are missing change nothing."""


def object_net(name: str, imms: tuple[Any, ...], module: Module) -> int:
    """By how much a row that does not branch changes the operand height."""
    if name == "struct.new":
        composite = module.types[imms[0]].composite
        assert isinstance(composite, StructType)
        return 1 - len(composite.fields)
    return 1 - imms[1] if name == "array.new_fixed" else _OBJECT_NET.get(name, 0)


@dataclass(slots=True)
class _Flattener:
    """One pass over a body. ``dead`` counts open blocks since code became unreachable, 0 while it is live.

    ``charge`` is where the basic block at hand is charged if fuel is counted, ``cost`` that of its operators so far.
    """

    module: Module
    code: bytes
    base: int
    ops: list[Op] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    height: int = 0
    max_height: int = 0
    dead: int = 0
    fuel: bool = False
    charge: int = -1
    cost: int = 0
    poll: Callable[[], None] = check
    rows: int = 0
    handlers: list[Handler] = field(default_factory=list)
    first_hidden: int = 0
    hidden: int = 0

    def run(self, at: int, results: int) -> Flat:
        """From ``at`` to the end that closes the body."""
        self.blocks.append(_Block("func", Label(results, 0), 0, results))
        self.next_charge(BY_CODE[0, 0x01], at)
        while self.blocks:
            self.rows += 1
            if self.rows & (ROWS - 1) == 0:
                self.poll()
            position = at
            row, at = self.read_row(at)
            imms = []
            for kind in row.imms:
                value, at = _read_immediate(kind, self.code, at)
                imms.append(value)
            if not self.dead:
                self.cost += row.fuel
            if self.dead:
                self.skip(row, tuple(imms), position)
            elif row.control:
                self.control(row, tuple(imms), position)
            else:
                self.emit(row.mnemonic, row, tuple(imms), position)
                self.move(self.net(row, imms))
        return Flat(self.ops, self.max_height, self.handlers, self.hidden)

    def net(self, row: Row, imms: list[Any]) -> int:
        """By how much a row changes the operand height."""
        if row.signature:
            return len(row.results) - len(row.operands)
        return object_net(row.mnemonic, tuple(imms), self.module) if row.walk == "object" else _NET[row.mnemonic]

    def read_row(self, at: int) -> tuple[Row, int]:
        """The row at a position, and the position of its immediates."""
        prefix, code, at = opcode_at(self.code, at)
        row = BY_CODE.get((prefix, code))
        if row is None:
            raise Unsupported(f"the oracle does not know opcode {prefix:#x} {code:#x}")
        return row, at

    def emit(self, name: str, row: Row, imms: tuple[Any, ...], position: int) -> None:
        """Append an operation."""
        self.ops.append(Op(name, row, imms, self.base + position))

    def next_charge(self, row: Row, position: int) -> None:
        """A basic block begins: at the function's start, in a loop or an arm of an ``if``, behind the ``end`` of
        anything but a loop, and behind what branches on a condition.
        """
        if self.fuel:
            self.settle()
            self.charge = len(self.ops)
            self.emit("fuel", row, (), position)

    def leave(self) -> None:
        """What follows is unreachable. It may look live behind the next ``end``, but no block that runs pays for it."""
        self.settle()
        self.dead = 1

    def settle(self) -> None:
        """A basic block ended: say what it costs where it began."""
        if self.charge >= 0:
            self.ops[self.charge] = self.ops[self.charge]._replace(imms=(self.cost,))
        self.charge, self.cost = -1, 0

    def move(self, net: int) -> None:
        """Change the operand height."""
        self.height += net
        self.max_height = max(self.max_height, self.height)

    def jump(self, depth: int) -> Jump:
        """A branch from here to the label at a depth."""
        label = self.blocks[-1 - depth].label
        return Jump(label, self.height != label.height + label.keep)

    def skip(self, row: Row, imms: tuple[Any, ...], position: int) -> None:
        """Unreachable code: only follow its nesting."""
        if "blocktype" in row.imms:
            self.dead += 1
        elif row.mnemonic in ("end", "delegate"):
            self.dead -= 1
            if not self.dead and row.mnemonic == "end":
                self.close(row, position)
            elif not self.dead:
                self.delegate(row, imms[0], position)
        elif row.mnemonic in ("catch", "catch_all") and self.dead == 1:
            self.catch(row, imms, position)
        elif row.mnemonic == "else" and self.dead == 1:
            self.otherwise(row, position, live=False)

    def block_type(self, code: int) -> tuple[int, int]:
        """Numbers of parameters and results of a block type."""
        if code < 0:
            return 0, 0 if code == EMPTY_BLOCK else 1
        type_ = self.module.types[code].composite
        assert isinstance(type_, FuncType)
        return len(type_.params), len(type_.results)

    def control(self, row: Row, imms: tuple[Any, ...], position: int) -> None:
        """A live control instruction."""
        match row.mnemonic:
            case "nop":
                pass
            case "block" | "loop" | "if":
                self.open(row, imms[0], position)
            case "try_table" | "try":
                self.open_try(row, imms)
            case "catch" | "catch_all":
                self.emit("br", row, (Jump(self.blocks[-1].label, False),), position)
                self.catch(row, imms, position)
            case "delegate":
                self.delegate(row, imms[0], position)
            case "throw" | "throw_ref" | "rethrow":
                self.throw(row, imms, position)
            case "else":
                self.otherwise(row, position, live=True)
            case "end":
                self.close(row, position)
            case "br":
                self.emit("br", row, (self.jump(imms[0]),), position)
                self.leave()
            case "br_if":
                self.move(-1)
                self.emit("br_if", row, (self.jump(imms[0]),), position)
                self.next_charge(row, position)
            case "br_on_null":
                self.move(-1)
                self.emit("br_on_null", row, (self.jump(imms[0]),), position)
                self.move(1)
                self.next_charge(row, position)
            case "br_on_non_null":
                self.emit("br_on_non_null", row, (self.jump(imms[0]),), position)
                self.move(-1)
                self.next_charge(row, position)
            case "br_on_cast" | "br_on_cast_fail":
                flags, depth, _, heap = imms
                self.emit(row.mnemonic, row, (self.jump(depth), flags, heap), position)
                self.next_charge(row, position)
            case "br_table":
                self.move(-1)
                self.emit("br_table", row, tuple(self.jump(depth) for depth in imms[0]), position)
                self.leave()
            case "return" | "unreachable":
                self.emit(row.mnemonic, row, (), position)
                self.leave()
            case _:
                self.call(row, imms, position)

    def call(self, row: Row, imms: tuple[Any, ...], position: int) -> None:
        """A call: direct, through a table, or through a reference; behind a tail call is nothing."""
        if row.imms == ("func",):
            type_ = self.module.func_type(imms[0])
        else:
            composite = self.module.types[imms[0]].composite
            assert isinstance(composite, FuncType)
            type_ = composite
            self.move(-1)
        self.emit(row.mnemonic, row, imms, position)
        if row.ends:
            self.leave()
        else:
            self.move(len(type_.results) - len(type_.params))

    def open(self, row: Row, type_: int, position: int) -> None:
        """Begin a block, loop or if."""
        params, results = self.block_type(type_)
        otherwise = None
        if row.mnemonic == "if":
            self.move(-1)
            otherwise = Label(0, self.height)
            self.emit("br_unless", row, (Jump(otherwise, False),), position)
        height = self.height - params
        label = Label(params, height, len(self.ops)) if row.mnemonic == "loop" else Label(results, height)
        self.blocks.append(_Block(row.mnemonic, label, params, results, otherwise))
        if row.mnemonic != "block":
            self.next_charge(row, position)

    # ---- exceptions ----------------------------------------------------------------------------

    def around(self, depth: int) -> Handler | None:
        """The handler that covers what is inside of the block at a depth, and outside of all blocks in it."""
        for block in self.blocks[-1 - depth :: -1]:
            if block.handler is not None:
                return block.handler
        return None

    def open_try(self, row: Row, imms: tuple[Any, ...]) -> None:
        """Begin what catches exceptions; the clauses of a ``try_table`` see the labels around it."""
        params, results = self.block_type(imms[0])
        handler = Handler(len(self.ops), self.around(0))
        for kind, tag, depth in imms[1] if len(imms) > 1 else ():
            handler.clauses.append(Clause(tag, self.blocks[-1 - depth].label, bool(kind & 1)))
        label = Label(results, self.height - params)
        self.blocks.append(_Block(row.mnemonic, label, params, results, handler=handler))

    def end_body(self, block: _Block) -> Handler | None:
        """What a handler covers ends here."""
        handler = block.handler
        if handler is not None:
            handler.end = len(self.ops)
            self.handlers.append(handler)
            block.handler = None
        return handler

    def catch(self, row: Row, imms: tuple[Any, ...], position: int) -> None:
        """An arm of a ``try``, which its handler does not cover."""
        block = self.blocks[-1]
        self.settle()
        block.parted = handler = self.end_body(block) or block.parted
        assert handler is not None
        values = len(self.module.tag_types[imms[0]].type.params) if imms else 0
        label = Label(values, block.label.height, len(self.ops))
        block.arm = Clause(imms[0] if imms else None, label)
        handler.clauses.append(block.arm)
        self.height, self.dead = block.label.height, 0
        self.move(values)
        self.next_charge(row, position)

    def delegate(self, row: Row, depth: int, position: int) -> None:
        """The end of a ``try``: what it throws is looked for where the block at a depth around it ends."""
        handler = self.end_body(self.blocks[-1])
        assert handler is not None
        handler.outer = self.around(depth + 1)
        self.close(row, position)

    def throw(self, row: Row, imms: tuple[Any, ...], position: int) -> None:
        """Raise an exception: a new one, one that was caught by reference, or what an arm has caught."""
        if row.mnemonic == "rethrow":
            arm = self.blocks[-1 - imms[0]].arm
            assert arm is not None
            if arm.keeps is None:
                arm.keeps = self.first_hidden + self.hidden
                self.hidden += 1
            self.emit("local.get", row, (arm.keeps,), position)
            self.move(1)
        self.emit("throw" if row.mnemonic == "throw" else "throw_ref", row, imms, position)
        self.leave()

    def otherwise(self, row: Row, position: int, live: bool) -> None:
        """Between the two sequences of an if."""
        block = self.blocks[-1]
        assert block.otherwise is not None
        if live:
            self.emit("br", row, (Jump(block.label, False),), position)
        block.otherwise.pc = len(self.ops)
        block.otherwise = None
        self.height, self.dead = block.label.height + block.params, 0
        self.next_charge(row, position)

    def close(self, row: Row, position: int) -> None:
        """End the innermost block, or the body."""
        block = self.blocks.pop()
        self.end_body(block)
        self.height = block.label.height
        self.move(block.results)
        if block.otherwise is not None:
            block.otherwise.pc = len(self.ops)
        if block.opcode != "loop":
            block.label.pc = len(self.ops)
        if block.opcode == "func":
            self.settle()
            self.emit("return", row, (), position)
        elif block.opcode != "loop":
            self.next_charge(row, position)


def flatten(module: Module, function: Function, fuel: bool = False, poll: Callable[[], None] = check) -> Flat:
    """A defined function's body, with charges if ``fuel`` is counted. ``poll`` is called now and then; what it raises
    ends the work.

    Raises ``Unsupported`` for an opcode that is none.
    """
    type_ = module.types[function.type_index].composite
    assert isinstance(type_, FuncType)
    own = len(type_.params) + sum(count for count, _ in function.locals)
    flattener = _Flattener(module, module.binary, 0, fuel=fuel, poll=poll, first_hidden=own)
    return flattener.run(function.start, len(type_.results))


def flatten_constant(module: Module, code: bytes, offset: int) -> Flat:
    """A constant expression: one result."""
    return _Flattener(module, code, offset).run(0, 1)
