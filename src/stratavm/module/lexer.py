"""Lexing of the text format: one compiled expression, tokens as plain strings. Knows no keyword and no grammar.

A token is the text it was written as, so the parser dispatches with dictionaries: ``(``, ``)``, a string beginning with
``"``, an identifier beginning with ``$`` (quoted identifiers are rewritten to that form), a word, ``""`` at the end.
Source: WebAssembly 3.0, section 6.3 (lexical format).
"""

from __future__ import annotations

import re
from bisect import bisect_right

from stratavm.base.budget import check, paced, pause
from stratavm.base.errors import ParseError
from stratavm.base.forms import Final, dataclass, field
from stratavm.base.words import excerpt

_ID: Final = r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]"
_STRING: Final = r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*+"'
_ODD: Final = r'[",\[\]{}]|;(?!;)'  # what may not touch a word: the whole run is then a reserved token
_TOKEN: Final = re.compile(
    rf"""
    (?: [ \t\n\r]++ | ;; [^\n\r]*+ )*+
    (?:
      ( \( (?![;@]) | \)
      | \$ {_ID}++ (?!{_ODD})
      | (?!\$) {_ID}++ (?!{_ODD})
      | {_STRING} (?! {_ID} | {_ODD})
      )
    | ( \(; | \(@ | \$ (?!{_ID}|") | \$? {_STRING} (?! {_ID} | {_ODD})
      | (?: {_ID} | {_STRING} | [,\[\]{{}}] | ;(?!;) )++ | .
      )
    | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"\(;|;\)")
_ANNOTATION_ID: Final = re.compile(rf"{_ID}++|{_STRING}")
_ESCAPE: Final = re.compile(rb"""\\(?:([0-9a-fA-F]{2})|([tnr"'\\])|u\{([0-9a-fA-F](?:_?[0-9a-fA-F])*)\}|)""")
_NAMED_ESCAPES: Final = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b'"': b'"', b"'": b"'", b"\\": b"\\"}

RESERVED: Final = "\x00"
"""First character of a token that no grammar rule can match (``"a"x``, ``1,2``): the rest is its text."""


LOOKAHEAD: Final = 24
"""Empty tokens at the end, so that a parser may look ahead without asking whether the text goes on."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """``(@name …)``: its own tokens, and the index of the token that follows it."""

    name: str
    before: int
    tokens: tuple[str, ...]
    offset: int


@dataclass(slots=True)
class Tokens:
    """A lexed text: tokens and where each begins. Empty tokens end the list."""

    text: str
    tokens: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    _lines: list[int] | None = None

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a character offset."""
        if self._lines is None:
            self._lines = [0, *(m.end() for m in re.finditer(r"\r\n|\n|\r", self.text))]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def error(self, index: int, message: str, expected: str = "", found: str = "", hint: str = "") -> ParseError:
        """A ParseError at the token ``index``."""
        return self.error_at(self.offsets[index], message, expected, found, hint)

    def error_at(self, offset: int, message: str, expected: str = "", found: str = "", hint: str = "") -> ParseError:
        """A ParseError at a character offset."""
        line, column = self.position(offset)
        shown = excerpt(self.text, line, column)
        place = {"line": line, "column": column}
        return ParseError(message, **place, expected=expected, found=found, excerpt=shown, hint=hint)


def to_text(source: str | bytes) -> str:
    """The text as characters; raises ParseError where it is not UTF-8."""
    if isinstance(source, str):
        if source.isascii():
            return source
        try:
            source.encode()
        except UnicodeEncodeError as e:
            raise Tokens(source).error_at(e.start, "malformed UTF-8 encoding", found="a lone surrogate") from None
        return source
    try:
        return str(source, "utf-8")
    except UnicodeDecodeError as e:
        before = Tokens(str(source[: e.start], "utf-8"))
        raise before.error_at(
            len(before.text), "malformed UTF-8 encoding", found=f"byte {source[e.start]:#04x}"
        ) from None


def tokenize(source: str | bytes) -> Tokens:
    """Split a text into tokens; comments vanish, annotations are set aside. Linear in the length of the text."""
    out = Tokens(to_text(source))
    text, position, openers = out.text, 0, list[int]()
    add_token, add_offset = out.tokens.append, out.offsets.append
    while position >= 0:
        pause()
        resume = -1
        for m in paced(_TOKEN.finditer(text, position)):
            which = m.lastindex
            if which == 1:
                add_token(m.group(1))
                add_offset(m.start(1))
            elif which == 2:
                resume = _odd_token(out, m, openers)
                if resume >= 0:
                    break  # the matches that finditer would give next began inside a comment
        position = resume
    if openers:
        _set_annotations_aside(out, openers)
    out.tokens += [""] * LOOKAHEAD
    out.offsets += [len(text)] * LOOKAHEAD
    return out


def _odd_token(out: Tokens, m: re.Match[str], openers: list[int]) -> int:
    """Take a token that needs a second look; returns where to resume, or -1 to go on."""
    token, at = m.group(2), m.start(2)
    resume = -1
    if token == "(;":
        return _comment_end(out, at)
    if token == "(@":
        name = _ANNOTATION_ID.match(out.text, at + 2)
        openers.append(len(out.tokens))
        if name is not None:  # within another annotation a bare (@ is fine
            token, resume = token + _annotation_name(out, name), name.end()
        elif out.text[at + 2 : at + 3] == '"':
            raise out.error_at(at, "empty annotation id", expected='a closing " on the same line')
    elif token[:2] == '$"':
        if token == '$"' or token[-1] != '"' or not _is_quoted(token[1:]):
            token = RESERVED + token
        else:
            token = "$" + quoted_name(out, token[1:], at, "empty identifier")
    elif token == "$":
        raise out.error_at(at, "empty identifier", expected="an identifier behind $")
    elif token == '"':
        raise out.error_at(at, "unclosed string", expected='a closing " on the same line')
    elif len(token) == 1 and (token < " " or token > "~"):
        raise out.error_at(at, "illegal character", found=f"U+{ord(token):04X}")
    else:
        token = RESERVED + token
    out.tokens.append(token)
    out.offsets.append(at)
    return resume


_QUOTED: Final = re.compile(_STRING)


def _is_quoted(token: str) -> bool:
    """Whether the token is one string literal and nothing else."""
    return _QUOTED.fullmatch(token) is not None


def _annotation_name(out: Tokens, m: re.Match[str]) -> str:
    """The name of an annotation, quotes resolved."""
    name = m.group()
    return quoted_name(out, name, m.start(), "empty annotation id") if name[0] == '"' else name


def quoted_name(out: Tokens, token: str, at: int, empty: str) -> str:
    """The characters of a quoted identifier; raises where it is empty or not UTF-8."""
    data = string_bytes(out, token, at)
    if not data:
        raise out.error_at(at, empty)
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise out.error_at(at, "malformed UTF-8 encoding") from None


def _comment_end(out: Tokens, at: int) -> int:
    """Where the block comment that opens at ``at`` ends."""
    check()
    depth = 1
    for edge in paced(_COMMENT_EDGE.finditer(out.text, at + 2)):
        depth += 1 if edge.group() == "(;" else -1
        if depth == 0:
            end: int = edge.end()
            return end
    raise out.error_at(at, "unclosed comment", expected=";)")


def _set_annotations_aside(out: Tokens, openers: list[int]) -> None:
    """Move annotations out of the token stream, keeping those at the outermost level."""
    old_tokens, old_offsets = out.tokens, out.offsets
    tokens, offsets, done = list[str](), list[int](), 0
    for opener in paced(openers):
        if opener < done:
            continue  # inside an annotation already taken
        if old_tokens[opener] == "(@":
            raise out.error_at(old_offsets[opener], "empty annotation id", expected="a name behind (@")
        tokens += old_tokens[done:opener]
        offsets += old_offsets[done:opener]
        depth, i = 1, opener + 1
        while depth:
            if i == len(old_tokens):
                raise out.error_at(old_offsets[opener], "unclosed annotation", expected=")")
            first = old_tokens[i][0]
            depth += (first == "(") - (first == ")")
            i += 1
        inner = tuple(old_tokens[opener + 1 : i - 1])
        out.annotations.append(Annotation(old_tokens[opener][2:], len(tokens), inner, old_offsets[opener]))
        done = i
    out.tokens, out.offsets = tokens + old_tokens[done:], offsets + old_offsets[done:]


def string_bytes(out: Tokens, token: str, at: int) -> bytes:
    """The bytes of a string literal (quotes included in ``token``); ``at`` is its offset, for errors."""
    raw = token[1:-1].encode()
    if b"\\" not in raw:
        return raw

    parts, done = list[bytes](), 0
    for m in paced(_ESCAPE.finditer(raw)):
        parts += raw[done : m.start()], _unescape(out, m, at)
        done = m.end()
    return b"".join((*parts, raw[done:]))


def _unescape(out: Tokens, m: re.Match[bytes], at: int) -> bytes:
    """The bytes that an escape in the string at ``at`` stands for."""
    pair, name, point = m.groups()
    if pair is not None:
        return bytes((int(pair, 16),))
    if name is not None:
        return _NAMED_ESCAPES[name]
    if point is None:
        raise out.error_at(
            at, "illegal escape", found=repr(str(m.string[m.start() : m.start() + 2], "utf-8", "replace"))
        )
    digits = point.replace(b"_", b"").lstrip(b"0") or b"0"
    value = int(digits, 16) if len(digits) <= 6 else 0x110000
    if value >= 0x110000 or 0xD800 <= value < 0xE000:
        raise out.error_at(at, "malformed UTF-8 encoding", found=f"code point {str(digits, 'ascii')[:20]}")
    return chr(value).encode()
