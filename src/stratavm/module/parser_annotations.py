"""Annotations that mean something to a module: ``(@custom …)``, a custom section, ``(@name …)``, a debug name,
``(@metadata.code.branch_hint …)``, whether a branch is likely.

Others are ignored, as the specification wants. Source: WebAssembly 3.0, appendix A.4 (custom annotations), and the
proposal of branch hints.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from stratavm.base.errors import ParseError
from stratavm.base.forms import Final
from stratavm.base.leb import uleb
from stratavm.module.encode import SECTION_ORDER, vector
from stratavm.module.lexer import Annotation, Tokens, string_bytes
from stratavm.module.model import Custom

SECTIONS: Final = {
    "type": 1, "import": 2, "func": 3, "table": 4, "memory": 5, "tag": 13, "global": 6, "export": 7, "start": 8,
    "elem": 9, "datacount": 12, "code": 10, "data": 11,
}  # fmt: skip
LAST: Final = SECTION_ORDER[-1]
BRANCH_HINT: Final = "metadata.code.branch_hint"
HINTED: Final = ("if", "br_if")
"""What a branch hint may stand before."""


def within(source: Tokens, start: int, end: int) -> list[Annotation]:
    """The annotations before the tokens ``start`` to ``end``, that one included."""
    befores = [a.before for a in source.annotations]
    return source.annotations[bisect_left(befores, start) : bisect_right(befores, end)]


def _error(source: Tokens, annotation: Annotation, message: str) -> ParseError:
    return source.error_at(annotation.offset, message)


def _utf8(source: Tokens, annotation: Annotation, token: str) -> str:
    """A string of an annotation that must be UTF-8."""
    try:
        return str(string_bytes(source, token, annotation.offset), "utf-8")
    except UnicodeDecodeError:
        raise _error(source, annotation, f"@{annotation.name} annotation: malformed UTF-8 encoding") from None


def custom_section(source: Tokens, annotation: Annotation) -> Custom:
    """The custom section of ``(@custom "name" (before|after section)? "data"*)``."""
    tokens = annotation.tokens
    if not tokens or tokens[0][0] != '"':
        raise _error(source, annotation, "@custom annotation: missing section name")
    name = _utf8(source, annotation, tokens[0])
    rest, after = tokens[1:], LAST
    if rest and rest[0] == "(":
        after = _placement(source, annotation, rest[1:4])
        rest = rest[4:]
    if any(token[0] != '"' for token in rest):
        raise _error(source, annotation, "@custom annotation: unexpected token")
    data = b"".join(string_bytes(source, token, annotation.offset) for token in rest)
    return Custom(name, data, 0, after)


def _placement(source: Tokens, annotation: Annotation, tokens: tuple[str, ...]) -> int:
    """The section id behind which ``before global)`` or ``after func)`` puts a section."""
    word, section, closing = (*tokens, "", "", "")[:3]
    if word not in ("before", "after"):
        raise _error(source, annotation, "@custom annotation: malformed placement")
    if (word, section) in (("before", "first"), ("after", "last")):
        found = 0 if word == "before" else LAST
    elif section in SECTIONS:
        found = SECTIONS[section]
        if word == "before":
            found = (0, *SECTION_ORDER)[SECTION_ORDER.index(found)]
    else:
        raise _error(source, annotation, "@custom annotation: malformed section kind")
    if closing != ")":
        raise _error(source, annotation, "@custom annotation: unexpected token")
    return found


def debug_name(source: Tokens, annotation: Annotation) -> str:
    """The name of ``(@name "…")``."""
    tokens = annotation.tokens
    if len(tokens) != 1 or tokens[0][0] != '"':
        raise _error(source, annotation, "@name annotation: unexpected token")
    return _utf8(source, annotation, tokens[0])


def branch_hint(source: Tokens, annotation: Annotation) -> int:
    """The byte of ``(@metadata.code.branch_hint "\\00")``: 1 where the branch is likely."""
    tokens = annotation.tokens
    if not tokens or any(token[0] != '"' for token in tokens):
        raise _error(source, annotation, f"@{BRANCH_HINT} annotation: unexpected token")
    data = b"".join(string_bytes(source, token, annotation.offset) for token in tokens)
    if data not in (b"\0", b"\1"):
        raise _error(source, annotation, f"@{BRANCH_HINT} annotation: invalid value")
    return data[0]


def hint_section(hints: Mapping[int, Sequence[tuple[int, int]]]) -> Custom:
    """The custom section of hints: by function index, in order, offsets in the function's entry of the code section
    and bytes. It stands before that section, so that it is known when code is read."""
    functions = [
        uleb(index) + vector(found, lambda hint: uleb(hint[0]) + b"\1" + bytes((hint[1],)))
        for index, found in sorted(hints.items())
    ]
    return Custom(BRANCH_HINT, vector(functions, bytes), 0, SECTIONS["datacount"])


def misplaced(source: Tokens, annotation: Annotation) -> ParseError:
    """The annotation stands where it means nothing."""
    return _error(source, annotation, f"misplaced @{annotation.name} annotation")
