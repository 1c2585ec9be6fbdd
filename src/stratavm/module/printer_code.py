"""Instructions as text, flat or folded. Iterative: nesting costs lines, not stack.

Folding is only notation: a folded operand is an instruction that comes just before. So a wrong guess of an arity can
make the output ugly, never wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from stratavm.base.errors import DecodeError
from stratavm.base.forms import Any, Final, dataclass, field
from stratavm.module.instructions import BlockType, Catch, Instruction, MemArg
from stratavm.module.model import Module
from stratavm.module.parser_annotations import BRANCH_HINT
from stratavm.module.parser_numbers import F32, F64, FloatFormat, OutOfRange, parse_float
from stratavm.spec import types as t

MAX_INDENT: Final = 40
"""Levels beyond this one are not indented further, so that deep nesting cannot make the text quadratic."""
LINE: Final = 90
MAX_NAMED_DEPTH: Final = 200
"""Labels further out are given by number: whether an inner block hides a name costs a look at every level."""
OPENERS: Final = frozenset({"block", "loop", "if", "try_table", "try"})
BETWEEN: Final = frozenset({"end", "else", "catch", "catch_all", "delegate"})
"""Instructions that stand as far to the left as what they belong to."""
CATCH_WORDS: Final = ("catch", "catch_ref", "catch_all", "catch_all_ref")

NameOf = Callable[[str, int], str]
"""``name_of("func", 3)``: an identifier, or the number."""


def float_text(bits: int, form: FloatFormat) -> str:
    """The shortest decimal that reads back as these bits; NaNs with their payload."""
    sign = "-" if bits >> form.bits - 1 else ""
    magnitude = bits & (1 << form.bits - 1) - 1
    if magnitude > form.infinity:
        payload = magnitude - form.infinity
        return f"{sign}nan" if magnitude == form.quiet else f"{sign}nan:{payload:#x}"
    if magnitude == form.infinity:
        return f"{sign}inf"
    if form is F64:
        return sign + repr(struct.unpack("<d", struct.pack("<Q", magnitude))[0])
    value = struct.unpack("<f", struct.pack("<I", magnitude))[0]
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        with suppress(OutOfRange):  # the largest value, rounded up
            if parse_float(text, F32) == magnitude:
                return sign + text
    return f"{sign}{value:.9g}"


def string_text(data: bytes) -> str:
    """A string literal."""
    return '"' + "".join(_BYTES[b] for b in data) + '"'


_BYTES: Final = tuple(
    chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\{b:02x}" for b in range(256)
)  # fmt: skip


def indent(depth: int) -> str:
    """The blanks in front of a line."""
    return "  " * min(depth, MAX_INDENT)


class CodeText:
    """Spells the instructions of one body or constant expression. ``hints``: which branches are likely, by offset."""

    def __init__(
        self,
        module: Module,
        name_of: NameOf,
        label_names: dict[int, str] | None = None,
        hints: Mapping[int, bool] | None = None,
    ) -> None:
        self.module = module
        self.hints = hints or {}
        self.name_of = name_of
        self.label_names = label_names or {}
        self.labels: list[str | None] = []
        self.label_count = 0

    # ---- one instruction -------------------------------------------------------------------------

    def spell(self, instruction: Instruction) -> str:
        """Mnemonic and immediates; keeps track of labels, so instructions must come in order."""
        row, imms = instruction.row, instruction.imms
        if row.mnemonic in OPENERS:
            return self._open_block(row.spelling, imms)
        if row.mnemonic in ("end", "delegate"):
            if self.labels:
                self.labels.pop()
            if row.mnemonic == "end":
                return "end"
        special = SPELLINGS.get(row.imms)
        parts = special(self, instruction) if special else self._plain(row.imms, imms)
        return " ".join((row.spelling, *(p for p in parts if p)))

    def annotation(self, instruction: Instruction) -> str:
        """What stands before an instruction: its hint, or nothing."""
        likely = self.hints.get(instruction.offset)
        return "" if likely is None else f'(@{BRANCH_HINT} "\\0{likely:d}") '

    def _open_block(self, keyword: str, imms: Sequence[Any]) -> str:
        """The head of a block; catch clauses see the labels outside."""
        catches = [self._catch(c) for c in imms[1]] if len(imms) > 1 else []
        name = self.label_names.get(self.label_count)
        self.label_count += 1
        self.labels.append(name)
        return " ".join(p for p in (keyword, name or "", self.block_type(imms[0]), *catches) if p)

    def _catch(self, clause: Catch) -> str:
        tag = "" if clause.tag is None else f" {self.name_of('tag', clause.tag)}"
        return f"({CATCH_WORDS[clause.kind]}{tag} {self.label(clause.label)})"

    def _plain(self, kinds: Sequence[str], imms: Sequence[Any]) -> Iterable[str]:
        """Immediates one after the other."""
        for kind, value in zip(kinds, imms, strict=True):
            spell = IMMEDIATES.get(kind)
            yield spell(self, value) if spell else self.name_of(kind, value)

    def label(self, depth: int) -> str:
        """A label by its name where no inner block has the same one, else its depth."""
        if depth < min(len(self.labels), MAX_NAMED_DEPTH):
            name = self.labels[-1 - depth]
            if name is not None and (depth == 0 or name not in self.labels[-depth:]):
                return name
        return str(depth)

    def block_type(self, type_: BlockType) -> str:
        """A block type."""
        if type_.type_index is not None:
            return f"(type {self.name_of('type', type_.type_index)})"
        return "" if type_.result is None else f"(result {self.value_type(type_.result)})"

    def value_type(self, type_: t.ValType) -> str:
        """A value type; references to defined types by name."""
        return value_type_text(type_, self.name_of)

    def heap_type(self, heap: t.HeapType) -> str:
        """A heap type."""
        return heap_type_text(heap, self.name_of)

    # ---- flat ------------------------------------------------------------------------------------

    def flat(self, instructions: Iterable[Instruction], depth: int) -> list[str]:
        """One line per instruction; the final ``end`` must be there and is left out."""
        lines: list[str] = []
        for instruction in instructions:
            mnemonic = instruction.row.mnemonic
            if mnemonic == "end" and not self.labels:
                return lines
            outer = depth + len(self.labels)
            text = self.annotation(instruction) + self.spell(instruction)
            lines.append(indent(outer - (mnemonic in BETWEEN)) + text)
        raise DecodeError("END opcode expected")

    def inline(self, instructions: Iterable[Instruction]) -> str:
        """A constant expression on one line; folded where it is a single instruction."""
        parts = [line.strip() for line in self.flat(instructions, 0)]
        return f"({parts[0]})" if len(parts) == 1 else " ".join(parts)


def heap_type_text(heap: t.HeapType, name_of: NameOf) -> str:
    """A heap type."""
    return name_of("type", heap - t.CONCRETE) if heap >= t.CONCRETE else t.HEAP_NAMES.get(heap, f"{heap:#x}")


def value_type_text(type_: t.ValType, name_of: NameOf) -> str:
    """A value type."""
    if t.is_ref(type_) and t.heap(type_) >= t.CONCRETE:
        null = "null " if t.kind(type_) == t.REF_NULL else ""
        return f"(ref {null}{heap_type_text(t.heap(type_), name_of)})"
    return t.type_name(type_)


def _memory_argument(code: CodeText, instruction: Instruction) -> list[str]:
    """Memory, offset and alignment where they are not the default, then what follows."""
    argument: MemArg = instruction.imms[0]
    access = instruction.row.access
    natural = access.bytes if access is not None else 1
    return [
        code.name_of("memory", argument.memory) if argument.memory else "",
        f"offset={argument.offset}" if argument.offset else "",
        f"align={1 << argument.align}" if 1 << argument.align != natural else "",
        *map(str, instruction.imms[1:]),
    ]


def _call_indirect(code: CodeText, instruction: Instruction) -> list[str]:
    type_index, table = instruction.imms
    return [code.name_of("table", table) if table else "", f"(type {code.name_of('type', type_index)})"]


def _segment(code: CodeText, instruction: Instruction) -> list[str]:
    (segment_kind, target_kind), (segment, target) = instruction.row.imms, instruction.imms
    return [code.name_of(target_kind, target) if target else "", code.name_of(segment_kind, segment)]


def _copy(code: CodeText, instruction: Instruction) -> list[str]:
    kind = instruction.row.imms[0]
    return [code.name_of(kind, i) for i in instruction.imms] if any(instruction.imms) else []


def _optional(code: CodeText, instruction: Instruction) -> list[str]:
    kind, index = instruction.row.imms[0], instruction.imms[0]
    return [code.name_of(kind, index) if index else ""]


def _field(code: CodeText, instruction: Instruction) -> list[str]:
    type_index, index = instruction.imms
    return [code.name_of("type", type_index), str(index)]


def _cast(code: CodeText, instruction: Instruction) -> list[str]:
    """``ref.test``, ``ref.cast`` and ``ref.null``: only the last one takes a heap type alone."""
    heap = code.heap_type(instruction.imms[0])
    if instruction.row.mnemonic == "ref.null":
        return [heap]
    return [f"(ref {'null ' if instruction.row.mnemonic.endswith('_null') else ''}{heap})"]


def _branch_on_cast(code: CodeText, instruction: Instruction) -> list[str]:
    flags, label, source, target = instruction.imms
    types = [f"(ref {'null ' if flags >> i & 1 else ''}{code.heap_type(h)})" for i, h in enumerate((source, target))]
    return [code.label(label), *types]


SPELLINGS: Final[dict[tuple[str, ...], Callable[[CodeText, Instruction], list[str]]]] = {
    ("memarg",): _memory_argument,
    ("memarg", "lane"): _memory_argument,
    ("type", "table"): _call_indirect,
    ("data", "memory"): _segment,
    ("elem", "table"): _segment,
    ("memory", "memory"): _copy,
    ("table", "table"): _copy,
    ("table",): _optional,
    ("memory",): _optional,
    ("type", "field"): _field,
    ("heaptype",): _cast,
    ("castflags", "label", "heaptype", "heaptype"): _branch_on_cast,
}
"""Rows whose text differs in order or shape from the binary."""

IMMEDIATES: Final[dict[str, Callable[[CodeText, Any], str]]] = {
    "label": CodeText.label,
    "labels": lambda code, labels: " ".join(map(code.label, labels)),
    "i32": lambda code, value: str(value),
    "i64": lambda code, value: str(value),
    "u32": lambda code, value: str(value),
    "lane": lambda code, value: str(value),
    "f32": lambda code, bits: float_text(bits, F32),
    "f64": lambda code, bits: float_text(bits, F64),
    "v128": lambda code, bits: "i32x4 " + " ".join(f"{bits >> 32 * i & 0xFFFFFFFF:#010x}" for i in range(4)),
    "lanes16": lambda code, bits: " ".join(str(bits >> 8 * i & 0xFF) for i in range(16)),
    "heaptype": CodeText.heap_type,
    "valtypes": lambda code, types: f"(result {' '.join(map(code.value_type, types))})",
    "zero": lambda code, value: "",
}
"""How each kind of immediate is spelled; the others are indices."""


# ---- folded ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Node:
    """A folded instruction: its head, what stands inside its parentheses, how many values it leaves, and what stands
    before it."""

    head: str
    children: list[Node] = field(default_factory=list)
    results: int = 0
    size: int = 0
    before: str = ""

    def close(self) -> Node:
        """Compute the length on one line."""
        self.size = len(self.before) + len(self.head) + 2 + sum(c.size + 1 for c in self.children)
        return self


class Folder:
    """Turns a flat sequence into folded nodes; open blocks are a list."""

    def __init__(self, code: CodeText, results: int) -> None:
        self.code = code
        self.module = code.module
        self.results = results
        self.open: list[tuple[Node, list[Node]]] = []
        self.nodes: list[Node] = []

    def fold(self, instructions: Iterable[Instruction]) -> list[Node]:
        """The top-level nodes of a body."""
        for instruction in instructions:
            mnemonic = instruction.row.mnemonic
            if mnemonic == "end" and not self.open:
                return self.nodes
            if mnemonic in OPENERS:
                self._begin(instruction)
            elif mnemonic == "else":
                if not self.open or not self.open[-1][0].head.startswith("if"):
                    raise DecodeError("else without if", offset=instruction.offset)
                self._arm()
            elif mnemonic in ("catch", "catch_all", "delegate"):
                self._try_arm(instruction)
            elif mnemonic == "end":
                self.code.spell(instruction)
                self._finish()
            else:
                operands, results = self._arity(instruction)
                node = Node(self.code.spell(instruction), results=results, before=self.code.annotation(instruction))
                node.children = self._take(operands)
                self.nodes.append(node.close())
        raise DecodeError("END opcode expected")

    def _take(self, count: int) -> list[Node]:
        """Remove the nodes just before that leave one value each, at most ``count``."""
        start = len(self.nodes)
        while start and len(self.nodes) - start < count and self.nodes[start - 1].results == 1:
            start -= 1
        taken = self.nodes[start:]
        del self.nodes[start:]
        return taken

    def _begin(self, instruction: Instruction) -> None:
        """Open a block; an ``if`` folds its condition and opens an arm."""
        mnemonic = instruction.row.mnemonic
        condition = self._take(1) if mnemonic == "if" else []
        type_: BlockType = instruction.imms[0]
        results = self._block_results(type_)
        node = Node(self.code.spell(instruction), condition, results, before=self.code.annotation(instruction))
        self.open.append((node, self.nodes))
        self.nodes = []

    def _arm(self) -> None:
        """Close an arm of the open ``if`` and open the next one."""
        node, _ = self.open[-1]
        word = "else" if any(c.head in ("then", "else") for c in node.children) else "then"
        node.children.append(Node(word, self.nodes).close())
        self.nodes = []

    def _try_arm(self, instruction: Instruction) -> None:
        """Close an arm of the open ``try``, and open the next one or close it all."""
        mnemonic = instruction.row.mnemonic
        if not self.open or not is_try(self.open[-1][0]):
            raise DecodeError(f"{mnemonic} without try", offset=instruction.offset)
        node, outer = self.open[-1]
        self._close_arm(node)
        node.children.append(Node(self.code.spell(instruction)))
        if mnemonic == "delegate":
            node.children[-1].close()
            self.open.pop()
            outer.append(node.close())
            self.nodes = outer

    def _close_arm(self, node: Node) -> None:
        """Close the arm of a ``try`` that is open: the first is a ``do``."""
        if node.children:
            node.children[-1].children = self.nodes
            node.children[-1].close()
        else:
            node.children.append(Node("do", self.nodes).close())
        self.nodes = []

    def _finish(self) -> None:
        """Close a block."""
        node, outer = self.open[-1]
        if node.head.startswith("if"):
            self._arm()
        elif is_try(node):
            self._close_arm(node)
        else:
            node.children += self.nodes
        self.open.pop()
        outer.append(node.close())
        self.nodes = outer

    def _block_results(self, type_: BlockType) -> int:
        """How many values a block leaves; one with parameters takes them from before, so it cannot be an operand."""
        if type_.type_index is None:
            return int(type_.result is not None)
        types = self.module.types
        composite = types[type_.type_index].composite if type_.type_index < len(types) else None
        if not isinstance(composite, t.FuncType) or composite.params:
            return -1
        return len(composite.results)

    def _arity(self, instruction: Instruction) -> tuple[int, int]:
        """Operands and results; (0, -1) where nothing is known."""
        row = instruction.row
        known = ARITY.get(row.mnemonic)
        if known is not None:
            return known
        if row.mnemonic == "return":
            return self.results, 0
        if row.mnemonic == "throw":
            return self._tag_arity(instruction.imms[0]), 0
        if row.mnemonic in ("call", "call_indirect"):
            return self._call_arity(row.mnemonic, instruction.imms[0])
        if not row.signature:
            return 0, -1
        return len(row.operands), len(row.results)

    def _tag_arity(self, index: int) -> int:
        """How many values an exception of a tag has."""
        tags = self.module.tag_types
        return len(tags[index].type.params) if index < len(tags) else 0

    def _call_arity(self, mnemonic: str, index: int) -> tuple[int, int]:
        """Operands and results of a call."""
        types = self.module.types
        if mnemonic == "call":
            functions = self.module.func_type_indices
            index = functions[index] if index < len(functions) else -1
        composite = types[index].composite if 0 <= index < len(types) else None
        if not isinstance(composite, t.FuncType):
            return 0, -1
        return len(composite.params) + (mnemonic == "call_indirect"), len(composite.results)


def is_try(node: Node) -> bool:
    """Whether a node is a ``try``, whose children are arms."""
    return node.head == "try" or node.head.startswith("try ")


ARITY: Final[dict[str, tuple[int, int]]] = {
    "unreachable": (0, 0), "nop": (0, 0), "br": (0, 0), "br_if": (1, -1), "br_table": (1, 0), "drop": (1, 0),
    "select": (3, 1), "select_t": (3, 1), "local.get": (0, 1), "local.set": (1, 0), "local.tee": (1, 1),
    "global.get": (0, 1), "global.set": (1, 0), "ref.null": (0, 1), "ref.func": (0, 1), "ref.is_null": (1, 1),
    "table.get": (1, 1), "table.set": (2, 0), "table.grow": (2, 1), "table.fill": (3, 0), "throw_ref": (1, 0),
    "rethrow": (0, 0),
}  # fmt: skip
"""Operands and results of instructions whose rows have no signature."""


def print_nodes(nodes: Sequence[Node], depth: int) -> list[str]:
    """Nodes as lines: short ones on one line, others with their children below."""
    lines: list[str] = []
    stack: list[tuple[Node | None, int]] = [(n, depth) for n in reversed(nodes)]
    while stack:
        node, level = stack.pop()
        if node is None:
            lines[-1] += ")"
        elif not node.children:
            lines.append(f"{indent(level)}{node.before}({node.head})")
        elif node.size <= LINE and not _has_arms(node):
            lines.append(indent(level) + one_line(node))
        else:
            lines.append(f"{indent(level)}{node.before}({node.head}")
            stack.append((None, 0))
            stack += [(c, level + 1) for c in reversed(node.children)]
    return lines


def _has_arms(node: Node) -> bool:
    """Whether the node is an ``if`` or a ``try``: those read better on several lines."""
    return any(c.head in ("then", "do") for c in node.children)


def one_line(node: Node) -> str:
    """A node without line breaks; ``size`` bounds the depth."""
    parts: list[str] = []
    stack: list[Node | str] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        parts.append(f"{item.before}({item.head}")
        stack.append(")")
        for child in reversed(item.children):
            stack += [child, " "]
    return "".join(parts)
