"""The top-level forms of a ``.wast`` script, as text: enough to pick out modules and assertions without the runner."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r';;[^\n]*|\(;|;\)|"(?:[^"\\]|\\.)*"|[()]|[^\s()";]+|;|\s+')


def forms(text: str) -> Iterator[str]:
    """Every top-level parenthesised form."""
    depth = comment = start = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "(;":
            comment += 1
        elif token == ";)" and comment:
            comment -= 1
        elif comment:
            continue
        elif token == "(":
            if depth == 0:
                start = match.start()
            depth += 1
        elif token == ")":
            depth -= 1
            if depth == 0:
                yield text[start : match.end()]


def assertion(form: str) -> tuple[str, str] | None:
    """The module and the message of an ``assert_invalid`` or ``assert_malformed`` form."""
    inner = next(forms(form[1:-1]), None)
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"\s*\)$', form)
    return (inner, strings[-1]) if inner and strings else None


def binary(module: str) -> bytes | None:
    """The bytes of a ``(module binary …)`` form."""
    if not re.match(r"\(module\s+(definition\s+)?(\$\S+\s+)?binary", module):
        return None
    out = bytearray()
    text = re.sub(r'"(?:[^"\\]|\\.)*"|;;[^\n]*', lambda m: m[0] if m[0][0] == '"' else " ", module)
    for quoted in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
        at = 0
        while at < len(quoted):
            if quoted[at] != "\\":
                out += quoted[at].encode()
                at += 1
            elif quoted[at + 1] in "tnr\"'\\":
                out += {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}[quoted[at + 1]]
                at += 2
            else:
                out.append(int(quoted[at + 1 : at + 3], 16))
                at += 3
    return bytes(out)
