"""Instructions of the text format to bytes, plain and folded, without recursion: open parentheses are a list of frames.

Opcodes and their immediates come from the rows; only block structure is spelled out here.
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.budget import pause
from stratavm.base.forms import Final, TypeAlias, dataclass
from stratavm.base.leb import sleb, uleb
from stratavm.module.encode import heap_type, val_type, vector
from stratavm.module.lexer import Annotation
from stratavm.module.parser_annotations import BRANCH_HINT, HINTED, branch_hint
from stratavm.module.parser_cursor import KEYWORDS, Space, add_keywords
from stratavm.module.parser_numbers import F32, F64, OutOfRange, parse_float, parse_integer, parse_natural
from stratavm.module.parser_types import TypeParser, TypeTable
from stratavm.spec import types as t
from stratavm.spec.index import by_spelling
from stratavm.spec.record import Row

BY_SPELLING: Final = by_spelling()
END: Final = b"\x0b"
ELSE: Final = b"\x05"
BASE, FOLD, BLOCK, SEQ, IF, TRY = range(6)
"""An open parenthesis: the body's own, an instruction waiting for operands, a folded block, an arm, an if, a try."""
BETWEEN: Final = frozenset({"end", "else", "catch", "catch_all", "delegate"})
"""Instructions that end a sequence within a block."""
ARM_KEYWORDS: Final = {"catch": ("try", "catch"), "catch_all": ("try", "catch"), "delegate": ("try",)}
"""What parts a ``try``, or ends it, and the sequences behind which it may come."""
ARMS: Final[tuple[tuple[str, ...], ...]] = (
    ("do",), ("catch", "catch_all", "delegate"), ("catch", "catch_all"), (), (),
)  # fmt: skip
"""What may come next in a folded ``try``, by ``Frame.arms``."""
CATCHES: Final = {"catch": 0, "catch_ref": 1, "catch_all": 2, "catch_all_ref": 3}
SHAPES: Final = {
    "i8x16": (8, 16),
    "i16x8": (16, 8),
    "i32x4": (32, 4),
    "i64x2": (64, 2),
    "f32x4": (32, 4),
    "f64x2": (64, 2),
}


@dataclass(slots=True)
class Frame:
    """An open parenthesis. ``labels`` is how many labels were open when it began, its own included; ``hint`` that
    of the branch that it is, or -1."""

    kind: int
    labels: int
    pending: bytes = b""
    label: str | None = None
    arms: int = 0
    hint: int = -1


def opcode_bytes(row: Row) -> bytes:
    """A row's opcode as the binary format writes it."""
    return bytes((row.prefix,)) + uleb(row.code) if row.prefix else bytes((row.code,))


class CodeParser(TypeParser):
    """Parses instruction sequences in the scope of a module's index spaces."""

    spaces: dict[str, Space]

    def begin_body(self, table: TypeTable) -> None:
        """Forget the previous body's locals and labels."""
        self.table = table
        self.locals = Space("local")
        self.labels: list[tuple[str | None, str]] = []
        self.label_places: dict[str, list[int]] = {}
        self.label_names: dict[int, str] = {}
        self.label_count = 0
        self.hinted: list[tuple[int, int]] = []

    hints: dict[int, Annotation]
    """Branch hints that have found no branch so far, by the token behind them."""

    uses_data = False
    """Whether an instruction named a data segment: the binary then needs a data count."""

    def hint_at(self, at: int, keyword: str) -> int:
        """The hint of the instruction that begins at a token, -1 where it has none."""
        annotation = self.hints.pop(at, None)
        if annotation is None:
            return -1
        if keyword not in HINTED:
            message = f"@{BRANCH_HINT} annotation: invalid target"
            raise self.source.error_at(annotation.offset, message, expected="an if or br_if behind it", found=keyword)
        return branch_hint(self.source, annotation)

    def hint_here(self, hint: int, out: bytearray) -> None:
        """What comes next is the branch of a hint, if there is one."""
        if hint >= 0:
            self.hinted.append((len(out), hint))

    # ---- labels --------------------------------------------------------------------------------

    def push_label(self, name: str | None, kind: str) -> None:
        """Open a label."""
        if name is not None:
            self.label_places.setdefault(name, []).append(len(self.labels))
            self.label_names[self.label_count] = name[1:]
        self.label_count += 1
        self.labels.append((name, kind))

    def pop_label(self) -> None:
        """Close the innermost label."""
        name, _ = self.labels.pop()
        if name is not None:
            self.label_places[name].pop()

    def label(self) -> int:
        """Take a label: relative depth or identifier."""
        token = self.toks[self.i]
        if token[:1] != "$":
            return self.natural(32, "a label")
        places = self.label_places.get(token)
        if not places:
            raise self.error(f"unknown label {token}")
        self.i += 1
        return len(self.labels) - 1 - places[-1]

    def _repeat_label(self, name: str | None) -> None:
        """Take the optional identifier behind ``end`` or ``else``, which must repeat the block's."""
        at = self.i
        repeated = self.accept_id()
        if repeated is not None and repeated != name:
            raise self.error("mismatching label", name or "no identifier", repeated, at)

    # ---- sequences -----------------------------------------------------------------------------

    def instructions(self, single: bool = False) -> bytes:
        """Take instructions up to the ``)`` that does not belong to them (or one folded one) and encode them."""
        out = bytearray()
        frames = [Frame(BASE, len(self.labels))]
        toks = self.toks
        while True:
            pause()
            token = toks[self.i]
            if token == "(":
                self._open(frames, out)
            elif token == ")":
                if frames[-1].kind == BASE:
                    self._check_closed(frames[-1])
                    return bytes(out)
                self._close(frames, out)
                if single and len(frames) == 1:
                    return bytes(out)
            else:
                self._plain(token, frames[-1], out)

    def expression(self) -> bytes:
        """Take instructions up to ``)``; encoded with the final ``end``."""
        return self.instructions() + END

    def folded_expression(self) -> bytes:
        """Take one folded instruction; encoded with the final ``end``."""
        if self.toks[self.i] != "(":
            raise self.unexpected("a folded instruction")
        return self.instructions(single=True) + END

    def _open(self, frames: list[Frame], out: bytearray) -> None:
        """Take ``(`` and what it begins."""
        frame, keyword = frames[-1], self.toks[self.i + 1]
        if frame.kind == IF and (frame.arms or keyword == "then"):
            if keyword != ("then", "else", "")[frame.arms]:
                raise self.unexpected("`)`" if frame.arms == 2 else "`(else` or `)`")
            if frame.arms == 0:
                self.hint_here(frame.hint, out)
                out += frame.pending
                self.push_label(frame.label, "if")
            else:
                out += ELSE
            frame.arms += 1
            self.i += 2
            frames.append(Frame(SEQ, len(self.labels)))
            return
        if frame.kind == TRY:
            self._open_arm(keyword, frame, frames, out)
            return
        hint = self.hint_at(self.i, keyword) if self.hints else -1
        self.i += 1
        if keyword in BLOCK_KEYWORDS:
            self.i += 1
            name = self.accept_id()
            code = self._block_head(keyword)
            if keyword == "if" or keyword == "try":
                frames.append(Frame(IF if keyword == "if" else TRY, len(self.labels), code, name, hint=hint))
                return
            out += code
            self.push_label(name, keyword)
            frames.append(Frame(BLOCK, len(self.labels)))
        else:
            frames.append(Frame(FOLD, len(self.labels), self._instruction(keyword), hint=hint))

    def _open_arm(self, keyword: str, frame: Frame, frames: list[Frame], out: bytearray) -> None:
        """Take ``(`` and the arm of a folded ``try`` that it begins."""
        if keyword not in ARMS[frame.arms]:
            raise self.unexpected(" or ".join((*(f"`({word}`" for word in ARMS[frame.arms]), "`)`")))
        self.i += 2
        if keyword == "do":
            out += frame.pending
            self.push_label(frame.label, "try")
            frame.arms = 1
        elif keyword == "delegate":
            out += self._delegate()
            frame.arms = 4
            self.expect(")")
            return
        else:
            out += self._arm(keyword)
            frame.arms = 2 if keyword == "catch" else 3
        frames.append(Frame(SEQ, len(self.labels)))

    def _arm(self, keyword: str) -> bytes:
        """The head of an arm of a ``try`` whose keyword was taken."""
        row = BY_SPELLING[keyword][0]
        self.labels[-1] = (self.labels[-1][0], keyword)
        return opcode_bytes(row) + b"".join(IMMEDIATES[kind](self) for kind in row.imms)

    def _delegate(self) -> bytes:
        """The end of a ``try``, whose keyword was taken: its label is one around it."""
        self.pop_label()
        return opcode_bytes(BY_SPELLING["delegate"][0]) + uleb(self.label())

    def _close(self, frames: list[Frame], out: bytearray) -> None:
        """Take ``)``."""
        frame = frames[-1]
        self._check_closed(frame)
        if frame.kind == FOLD:
            self.hint_here(frame.hint, out)
            out += frame.pending
        elif frame.kind in (BLOCK, IF, TRY) and frame.arms < 4:
            if frame.kind != BLOCK and not frame.arms:
                raise self.unexpected("`(then`" if frame.kind == IF else "`(do`")
            out += END
            self.pop_label()
        self.i += 1
        frames.pop()

    def _check_closed(self, frame: Frame) -> None:
        """A plain block must end within the parentheses in which it began."""
        if frame.kind != IF and frame.kind != TRY and len(self.labels) != frame.labels:
            raise self.unexpected("`end`")

    def _plain(self, token: str, frame: Frame, out: bytearray) -> None:
        """Take an instruction that stands without parentheses."""
        if frame.kind in (FOLD, IF, TRY):
            raise self.unexpected(("a folded operand or `)`", "`(then`", "`(do`")[(FOLD, IF, TRY).index(frame.kind)])
        if self.hints:
            self.hint_here(self.hint_at(self.i, token), out)
        if token in ARM_KEYWORDS:
            if len(self.labels) == frame.labels or self.labels[-1][1] not in ARM_KEYWORDS[token]:
                raise self.unexpected("an instruction or `)`")
            self.i += 1
            out += self._delegate() if token == "delegate" else self._arm(token)
        elif token == "end" or token == "else":
            if len(self.labels) == frame.labels or (token == "else" and self.labels[-1][1] != "if"):
                raise self.unexpected("an instruction or `)`")
            name, _ = self.labels[-1]
            self.i += 1
            self._repeat_label(name)
            if token == "else":
                self.labels[-1] = (name, "else")
                out += ELSE
            else:
                self.pop_label()
                out += END
        elif token in BLOCK_KEYWORDS:
            self.i += 1
            name = self.accept_id()
            out += self._block_head(token)
            self.push_label(name, token)
        else:
            out += self._instruction(token)

    def _block_head(self, keyword: str) -> bytes:
        """The opcode, block type and catch clauses of a block whose keyword and label were taken."""
        code = opcode_bytes(BY_SPELLING[keyword][0]) + self._block_type()
        if keyword != "try_table":
            return code
        clauses = []
        while self.toks[self.i] == "(" and self.toks[self.i + 1] in CATCHES:
            pause()
            kind = CATCHES[self.toks[self.i + 1]]
            self.i += 2
            tag = uleb(self.index(self.spaces["tag"])) if kind < 2 else b""
            clauses.append(bytes((kind,)) + tag + uleb(self.label()))
            self.expect(")")
        return code + vector(clauses, bytes)

    def _block_type(self) -> bytes:
        """Take a block type: nothing, one result, or a type use."""
        keyword = self.toks[self.i + 1] if self.toks[self.i] == "(" else ""
        if keyword == "type":
            return sleb(self.type_use(None))
        signature = self.func_signature(None)
        if signature.params or len(signature.results) > 1:
            return sleb(self.table.implicit(signature))
        return val_type(signature.results[0]) if signature.results else b"\x40"

    def _instruction(self, mnemonic: str) -> bytes:
        """Take an instruction that opens no block."""
        rows = BY_SPELLING.get(mnemonic)
        if rows is None or mnemonic in BETWEEN:
            raise self.unexpected("an instruction")
        self.i += 1
        row = rows[0]
        if not row.imms and len(rows) == 1:
            return opcode_bytes(row)
        special = SPECIAL.get(row.imms) if len(rows) == 1 else CHOICES[mnemonic]
        if special is not None:
            return special(self, row)
        return opcode_bytes(row) + b"".join(IMMEDIATES[kind](self) for kind in row.imms)

    # ---- immediates ----------------------------------------------------------------------------

    def space_index(self, kind: str) -> bytes:
        """Take an index of one of the module's index spaces."""
        if kind == "data":
            self.uses_data = True
        return uleb(self.index(self.spaces[kind]))

    def optional_index(self, kind: str) -> bytes:
        """Take an index where one comes next, else index 0."""
        return uleb(self.index(self.spaces[kind])) if self.at_index() else b"\0"

    def integer(self, bits: int) -> int:
        """Take an integer constant, as unsigned bits."""
        try:
            value = parse_integer(self.toks[self.i], bits)
        except OutOfRange:
            raise self.error("constant out of range", f"an i{bits}", self.toks[self.i][:60]) from None
        if value is None:
            raise self.unexpected(f"an i{bits} constant")
        self.i += 1
        return value

    def float_bits(self, bits: int) -> int:
        """Take a float constant, as IEEE bits."""
        try:
            value = parse_float(self.toks[self.i], F32 if bits == 32 else F64)
        except OutOfRange:
            raise self.error("constant out of range", f"an f{bits}", self.toks[self.i][:60]) from None
        if value is None:
            raise self.unexpected(f"an f{bits} constant")
        self.i += 1
        return value

    def signed(self, bits: int) -> bytes:
        """Take an integer constant, as LEB128."""
        value = self.integer(bits)
        return sleb(value - (1 << bits) if value >> bits - 1 else value)

    def vector_constant(self) -> int:
        """Take a shape and its lanes, as 128 bits."""
        at, shape = self.i, self.toks[self.i]
        if shape not in SHAPES:
            raise self.unexpected("a shape")
        self.i += 1
        bits, count = SHAPES[shape]
        if self._numbers(count + 1) != count:
            raise self.error("wrong number of lane literals", str(count), at=at)
        value = 0
        for lane in range(count):
            value |= (self.integer(bits) if shape[0] == "i" else self.float_bits(bits)) << lane * bits
        return value

    def lanes(self) -> bytes:
        """Take the 16 lane indices of a shuffle."""
        if (found := self._numbers(17)) != 16:
            raise self.error("invalid lane length", "16 lane indices", str(found))
        out = bytearray()
        for _ in range(16):
            if not self.toks[self.i][0].isdigit() or "." in self.toks[self.i]:
                raise self.error("i8 constant out of range", "less than 2**8", self.toks[self.i])
            out.append(self.natural(8))
        return bytes(out)

    def _numbers(self, most: int) -> int:
        """How many words that can only be numbers come next, counting up to ``most``."""
        toks, i = self.toks, self.i
        return next((n for n in range(most) if toks[i + n] in "()" or toks[i + n] in KEYWORDS), most)

    def label_list(self) -> bytes:
        """Take br_table's labels; the last one is the default."""
        found = [uleb(self.label())]
        while self.at_index():
            pause()
            found.append(uleb(self.label()))
        return uleb(len(found) - 1) + b"".join(found)

    def memory_argument(self, row: Row) -> bytes:
        """Take a memory index, offset and alignment; each may be absent."""
        memory = 0
        if self.at_index() and ("lane" not in row.imms or self._memory_before_lane()):
            memory = self.index(self.spaces["memory"])
        offset = self._attribute("offset=")
        at = self.i
        align = self._attribute("align=")
        if align is None:
            align = row.access.bytes if row.access is not None else 1
        if align == 0 or align & align - 1:
            raise self.error("alignment must be a power of two", found=str(align), at=at)
        exponent = align.bit_length() - 1
        head = uleb(exponent | 0x40) + uleb(memory) if memory else uleb(exponent)
        return head + uleb(offset or 0)

    def _memory_before_lane(self) -> bool:
        """Whether the index that comes next names a memory, not the lane."""
        following = self.toks[self.i + 1]
        return self.toks[self.i][0] == "$" or following[:1].isdigit() or following.startswith(("offset=", "align="))

    def _attribute(self, prefix: str) -> int | None:
        """Take ``offset=n`` or ``align=n`` where it comes next."""
        token = self.toks[self.i]
        if not token.startswith(prefix):
            return None
        try:
            value = parse_natural(token[len(prefix) :], 64)
        except OutOfRange:
            raise self.error("i64 constant out of range", "less than 2**64", token[:60]) from None
        if value is None:
            raise self.error(f"unknown operator {token[:60]}", f"a number behind {prefix}")
        self.i += 1
        return value


Immediate: TypeAlias = Callable[[CodeParser], bytes]
Special: TypeAlias = Callable[[CodeParser, Row], bytes]


def _space(kind: str) -> Immediate:
    return lambda p: p.space_index(kind)


IMMEDIATES: Final[dict[str, Immediate]] = {
    "local": lambda p: uleb(p.index(p.locals)),
    "global": _space("global"),
    "func": _space("func"),
    "tag": _space("tag"),
    "elem": _space("elem"),
    "data": _space("data"),
    "table": lambda p: p.optional_index("table"),
    "memory": lambda p: p.optional_index("memory"),
    "type": lambda p: uleb(p.index(p.types)),
    "label": lambda p: uleb(p.label()),
    "labels": CodeParser.label_list,
    "i32": lambda p: p.signed(32),
    "i64": lambda p: p.signed(64),
    "f32": lambda p: p.float_bits(32).to_bytes(4, "little"),
    "f64": lambda p: p.float_bits(64).to_bytes(8, "little"),
    "v128": lambda p: p.vector_constant().to_bytes(16, "little"),
    "lane": lambda p: bytes((p.natural(8, "a lane index"),)),
    "lanes16": CodeParser.lanes,
    "heaptype": lambda p: heap_type(p.heap_type()),
    "u32": lambda p: uleb(p.natural(32)),
    "zero": lambda p: b"\0",
}
"""How each kind of immediate is spelled, where its place in the text is its place in the binary."""


def _memory_argument(p: CodeParser, row: Row) -> bytes:
    return opcode_bytes(row) + p.memory_argument(row)


def _memory_argument_and_lane(p: CodeParser, row: Row) -> bytes:
    argument = p.memory_argument(row)
    return opcode_bytes(row) + argument + IMMEDIATES["lane"](p)


def _call_indirect(p: CodeParser, row: Row) -> bytes:
    """``table? typeuse``: the binary has them the other way round."""
    table = p.optional_index("table")
    return opcode_bytes(row) + uleb(p.type_use(None)) + table


def _segment_and_target(p: CodeParser, row: Row) -> bytes:
    """``target? segment``: the binary has them the other way round."""
    segment, target = row.imms
    p.uses_data = p.uses_data or segment == "data"
    spaces = p.spaces
    first_at = p.i
    if not p.at_index():
        raise p.unexpected("a segment")
    p.i += 1
    two = p.at_index()
    p.i = first_at
    place = uleb(p.index(spaces[target])) if two else b"\0"
    return opcode_bytes(row) + uleb(p.index(spaces[segment])) + place


def _copy(p: CodeParser, row: Row) -> bytes:
    """``destination source``, both or none."""
    space = p.spaces[row.imms[0]]
    if not p.at_index():
        return opcode_bytes(row) + b"\0\0"
    return opcode_bytes(row) + uleb(p.index(space)) + uleb(p.index(space))


def _field(p: CodeParser, row: Row) -> bytes:
    """``type field``: the field's identifier belongs to the type."""
    type_index = p.index(p.types)
    fields = Space("field", ids=p.table.fields.get(type_index, {}))
    return opcode_bytes(row) + uleb(type_index) + uleb(p.index(fields))


def _branch_on_cast(p: CodeParser, row: Row) -> bytes:
    label = uleb(p.label())
    source, target = p.ref_type(), p.ref_type()
    flags = (t.kind(source) == t.REF_NULL) | (t.kind(target) == t.REF_NULL) << 1
    return opcode_bytes(row) + bytes((flags,)) + label + heap_type(t.heap(source)) + heap_type(t.heap(target))


def _select(p: CodeParser, row: Row) -> bytes:
    """``select`` with ``(result …)`` is another opcode."""
    plain, typed = sorted(BY_SPELLING["select"], key=lambda r: len(r.imms))
    if p.toks[p.i] == "(" and p.toks[p.i + 1] == "result":
        return opcode_bytes(typed) + vector(p.results(), val_type)
    return opcode_bytes(plain)


def _cast(p: CodeParser, row: Row) -> bytes:
    """``ref.test`` and ``ref.cast`` are two opcodes each: for nullable and other targets."""
    target = p.ref_type()
    nullable = t.kind(target) == t.REF_NULL
    chosen = next(r for r in BY_SPELLING[row.spelling] if r.mnemonic.endswith("_null") == nullable)
    return opcode_bytes(chosen) + heap_type(t.heap(target))


SPECIAL: Final[dict[tuple[str, ...], Special]] = {
    ("memarg",): _memory_argument,
    ("memarg", "lane"): _memory_argument_and_lane,
    ("type", "table"): _call_indirect,
    ("data", "memory"): _segment_and_target,
    ("elem", "table"): _segment_and_target,
    ("memory", "memory"): _copy,
    ("table", "table"): _copy,
    ("type", "field"): _field,
    ("castflags", "label", "heaptype", "heaptype"): _branch_on_cast,
}
"""Rows whose text differs in order or shape from the binary, by their immediates."""

CHOICES: Final[dict[str, Special]] = {"select": _select, "ref.test": _cast, "ref.cast": _cast}
"""Spellings that two rows share."""

BLOCK_KEYWORDS: Final = frozenset(spelling for spelling, rows in BY_SPELLING.items() if "blocktype" in rows[0].imms)

add_keywords(BY_SPELLING)
