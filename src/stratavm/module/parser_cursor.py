"""A cursor over tokens: atoms, strings, numbers, index spaces and types. Knows no instruction and no field.

Everything here is a loop over tokens or a table; nothing recurses, so the nesting of the input costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from stratavm.base.budget import pause
from stratavm.base.errors import ParseError
from stratavm.base.forms import Final, dataclass, field
from stratavm.base.words import did_you_mean, some
from stratavm.module.lexer import RESERVED, Tokens, string_bytes
from stratavm.module.parser_numbers import OutOfRange, is_number, parse_natural
from stratavm.spec import types as t

LANED: Final = frozenset({"i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"})
"""Words that say how a vector is cut, and are no types."""
NUMBER_TYPES: Final = {"i32": t.I32, "i64": t.I64, "f32": t.F32, "f64": t.F64, "v128": t.V128}
PACKED_TYPES: Final = {"i8": t.I8, "i16": t.I16}
ABSTRACT_HEAPS: Final = {name: heap for heap, name in t.HEAP_NAMES.items()}
SHORT_REFS: Final = {name: t.ref(heap) for heap, name in t.SHORT_REFS.items()}
VALUE_TYPES: Final = NUMBER_TYPES | SHORT_REFS

KEYWORDS: Final[set[str]] = {
    *VALUE_TYPES, *PACKED_TYPES, *ABSTRACT_HEAPS, "ref", "null", "mut", "sub", "final", "rec", "type", "param",
    "result", "local", "field", "import", "export", "global", "memory", "table", "elem", "data", "start", "tag", "item",
    "offset", "declare", "module", "then", "else", "end", "shared", "pagesize", "catch", "catch_ref", "catch_all",
    "catch_all_ref", "do", "binary", "quote", "definition", "instance", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4",
    "f64x2",
}  # fmt: skip
"""Words that mean something somewhere; the instruction parser adds its mnemonics. Others are unknown operators."""

SPACE_WORDS: Final = {
    "type": "type", "func": "function", "table": "table", "memory": "memory", "global": "global", "tag": "tag",
    "elem": "elem segment", "data": "data segment", "local": "local", "field": "field",
}  # fmt: skip


@dataclass(slots=True)
class Space:
    """The identifiers of one index space and how many entries it has."""

    kind: str
    count: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    annotated: dict[int, str] = field(default_factory=dict)

    def names(self) -> dict[int, str]:
        """Debug names by index: from annotations, else identifiers without their ``$``."""
        return {index: name[1:] for name, index in self.ids.items()} | self.annotated


class Cursor:
    """Reads tokens one after the other; ``i`` is the index of the next one."""

    def __init__(self, tokens: Tokens, start: int = 0) -> None:
        self.source = tokens
        self.toks = tokens.tokens
        self.i = start
        self.types = Space("type")

    # ---- errors and atoms ----------------------------------------------------------------------

    def error(self, message: str, expected: str = "", found: str = "", at: int | None = None) -> ParseError:
        """An error at token ``at`` (default: the next one)."""
        return self.source.error(self.i if at is None else at, message, expected, found)

    def unexpected(self, expected: str, at: int | None = None) -> ParseError:
        """The token does not fit here; a word that means nothing anywhere is an unknown operator."""
        at = self.i if at is None else at
        token = self.toks[at]
        shown = token.removeprefix(RESERVED)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        known = token in KEYWORDS or token[:1] in ("", "(", ")", '"', "$") or is_number(token)
        known = known or token.startswith(("offset=", "align="))
        if not known:
            near = did_you_mean(shown, KEYWORDS)
            return self.source.error(at, f"unknown operator {shown}", expected, shown, near)
        return self.error("unexpected token", expected, shown or "the end of the text", at)

    def accept(self, token: str) -> bool:
        """Take the next token if it is ``token``."""
        if self.toks[self.i] == token:
            self.i += 1
            return True
        return False

    def expect(self, token: str) -> None:
        """Take ``token`` or raise."""
        if self.toks[self.i] != token:
            raise self.unexpected(f"`{token}`")
        self.i += 1

    def accept_open(self, keyword: str) -> bool:
        """Take ``(`` and ``keyword`` if both come next."""
        toks, i = self.toks, self.i
        if toks[i] == "(" and toks[i + 1] == keyword:
            self.i = i + 2
            return True
        return False

    def accept_id(self) -> str | None:
        """Take an identifier if one comes next (with its ``$``)."""
        token = self.toks[self.i]
        if token[:1] == "$":
            self.i += 1
            return token
        return None

    def string(self, what: str = "a string") -> bytes:
        """Take a string literal."""
        token = self.toks[self.i]
        if token[:1] != '"':
            raise self.unexpected(what)
        data = string_bytes(self.source, token, self.source.offsets[self.i])
        self.i += 1
        return data

    def strings(self) -> bytes:
        """Take string literals as long as they come, joined."""
        parts = []
        while self.toks[self.i][:1] == '"':
            pause()
            parts.append(self.string())
        return b"".join(parts)

    def name(self) -> str:
        """Take a string literal that must be UTF-8."""
        at = self.i
        try:
            return str(self.string("a name"), "utf-8")
        except UnicodeDecodeError:
            raise self.error("malformed UTF-8 encoding", at=at) from None

    def natural(self, bits: int = 32, what: str = "a number") -> int:
        """Take an unsigned integer."""
        try:
            value = parse_natural(self.toks[self.i], bits)
        except OutOfRange:
            raise self.error(f"i{bits} constant out of range", f"less than 2**{bits}", self.toks[self.i][:60]) from None
        if value is None:
            raise self.unexpected(what)
        self.i += 1
        return value

    def at_index(self) -> bool:
        """Whether an identifier or a number comes next."""
        return self.toks[self.i][:1] in "$0123456789" and self.toks[self.i] != ""

    def index(self, space: Space) -> int:
        """Take an index: a number, or an identifier of ``space``."""
        token = self.toks[self.i]
        if token[:1] == "$":
            index = space.ids.get(token)
            if index is None:
                hint = did_you_mean(token, space.ids)
                if space.kind == "field" and not hint:  # of which there are few
                    hint = f"fields: {some(space.ids)}" if space.ids else "none of its fields has a name"
                raise self.source.error(self.i, f"unknown {SPACE_WORDS[space.kind]} {token}", hint=hint)
            self.i += 1
            return index
        return self.natural(32, f"an index or an identifier ({SPACE_WORDS[space.kind]})")

    def bind(self, space: Space, name: str | None, index: int) -> None:
        """Give an entry its identifier; refuses one that is taken. The identifier is the token before the cursor."""
        if name is not None and space.ids.setdefault(name, index) != index:
            raise self.error(f"duplicate {space.kind} {name}", at=self.i - 1)

    def skip_group(self) -> None:
        """Go behind the ``)`` that closes the group whose ``(`` was taken."""
        toks, i, depth = self.toks, self.i, 1
        while depth:
            token = toks[i]
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
            elif token == "":
                self.i = i
                raise self.unexpected("`)`")
            i += 1
        self.i = i

    # ---- types ---------------------------------------------------------------------------------

    def at_type(self) -> bool:
        """Whether a value type comes next."""
        token = self.toks[self.i]
        return token in VALUE_TYPES or (token == "(" and self.toks[self.i + 1] == "ref")

    def heap_type(self) -> t.HeapType:
        """Take a heap type."""
        heap = ABSTRACT_HEAPS.get(self.toks[self.i])
        if heap is None:
            if not self.at_index():
                raise self.unexpected("a heap type")
            return t.CONCRETE + min(self.index(self.types), t.MAX_TYPES)
        self.i += 1
        return heap

    def value_type(self) -> t.ValType:
        """Take a value type."""
        found = VALUE_TYPES.get(self.toks[self.i])
        if found is not None:
            self.i += 1
            return found
        if not self.accept_open("ref"):
            token = self.toks[self.i]
            meant = "v128" if token in LANED else ""
            if token in ABSTRACT_HEAPS or (token[:1] == "$" and len(token) <= 60):  # of what there are references
                meant = f"(ref {token}) or (ref null {token})"
            if meant:
                raise self.source.error(self.i, "unexpected token", "a value type", token, f"did you mean {meant}?")
            raise self.unexpected("a value type")
        nullable = self.accept("null")
        heap = self.heap_type()
        self.expect(")")
        return t.ref(heap, nullable)

    def ref_type(self) -> t.ValType:
        """Take a reference type."""
        at = self.i
        found = self.value_type()
        if not t.is_ref(found):
            raise self.unexpected("a reference type", at)
        return found

    def value_types(self) -> list[t.ValType]:
        """Take value types up to the ``)`` that ends them, and that too."""
        out = []
        while self.toks[self.i] != ")":
            pause()
            out.append(self.value_type())
        self.i += 1
        return out

    def params(self, ids: Space | None) -> list[t.ValType]:
        """Take ``(param …)*``; parameters may have identifiers where ``ids`` is given."""
        out: list[t.ValType] = []
        while self.accept_open("param"):
            pause()
            name = None if ids is None else self.accept_id()
            if name is None:
                out += self.value_types()
                continue
            if ids is not None:
                self.bind(ids, name, len(out))
            out.append(self.value_type())
            self.expect(")")
        return out

    def results(self) -> list[t.ValType]:
        """Take ``(result …)*``."""
        out: list[t.ValType] = []
        while self.accept_open("result"):
            pause()
            out += self.value_types()
        return out

    def func_signature(self, ids: Space | None) -> t.FuncType:
        """Take ``(param …)* (result …)*``."""
        params = self.params(ids)
        return t.FuncType(tuple(params), tuple(self.results()))

    def limits(self, is64: bool = False) -> t.Limits:
        """Take ``min max?``."""
        minimum = self.natural(64)
        maximum = self.natural(64) if self.toks[self.i][:1].isdigit() else None
        return t.Limits(minimum, maximum, is64)

    def address_type(self) -> bool:
        """Take an optional ``i32`` or ``i64``; whether it is 64-bit."""
        return not self.accept("i32") and self.accept("i64")

    def table_type(self) -> t.TableType:
        """Take a table type."""
        is64 = self.address_type()
        limits = self.limits(is64)
        return t.TableType(self.ref_type(), limits)

    def page_shift(self) -> int:
        """Take an optional ``(pagesize n)``."""
        if not self.accept_open("pagesize"):
            return 16
        at = self.i
        size = self.natural(32)
        if size == 0 or size & size - 1:
            raise self.error("invalid custom page size", "a power of two", str(size), at)
        self.expect(")")
        return size.bit_length() - 1

    def memory_type(self) -> t.MemoryType:
        """Take a memory type."""
        is64 = self.address_type()
        limits = self.limits(is64)
        if self.accept("shared"):
            limits = t.Limits(limits.minimum, limits.maximum, is64, shared=True)
        return t.MemoryType(limits, self.page_shift())

    def global_type(self) -> t.GlobalType:
        """Take a global's type."""
        if not self.accept_open("mut"):
            return t.GlobalType(self.value_type())
        value = self.value_type()
        self.expect(")")
        return t.GlobalType(value, mutable=True)


def add_keywords(words: Iterable[str]) -> None:
    """Tell apart known words that are out of place from words that mean nothing."""
    KEYWORDS.update(words)
