"""The binary modules of the official test suite: what it calls malformed is refused in its words, the rest decodes."""

import re
from pathlib import Path

import pytest

from stratavm.base.errors import DecodeError, ModuleError, Unsupported
from stratavm.module.decode import decode
from stratavm.module.encode import encode
from stratavm.module.features import FEATURES
from tests.unit.module.drafts import draft_of

CORE = frozenset(f.name for f in FEATURES.values() if f.since <= "3.0")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|;;[^\n]*|\(;.*?;\)', re.DOTALL)
BINARY = re.compile(r'\(module\s+(?:definition\s+)?(?:\$\S+\s+)?binary((?:\s*"(?:[^"\\]|\\.)*")*)\s*\)')
MALFORMED = re.compile(r"\(assert_malformed\s*" + BINARY.pattern + r'\s*"([^"]*)"')
CODE_SECTION = b"\x0a"
FILES = ("binary*.wast", "custom.wast", "utf8-*.wast", "global.wast", "data.wast", "elem.wast", "align.wast")


def unescape(text: str) -> bytes:
    """The bytes of the suite's strings: ``\\hh`` and the usual escapes."""
    out = bytearray()
    for literal in STRING.findall(text):
        for hexed, escape, plain in re.findall(r"\\([0-9a-fA-F]{2})|\\(.)|([^\\])", literal, re.DOTALL):
            if hexed:
                out.append(int(hexed, 16))
            else:
                out += {"n": "\n", "t": "\t", "r": "\r"}.get(escape, escape or plain).encode()
    return bytes(out)


def scripts(spec_dir: Path) -> dict[str, str]:
    """The scripts that hold binary modules, without comments."""
    paths = sorted(p for pattern in FILES for p in spec_dir.glob(pattern))
    return {p.name: COMMENT.sub(lambda m: m[1] or " ", p.read_text()) for p in paths}


def test_malformed_modules_are_refused_in_the_words_of_the_suite(spec_dir):
    """Every ``assert_malformed`` that does not concern instructions."""
    wrong, in_code, seen = [], 0, 0
    for name, text in scripts(spec_dir).items():
        for literal, message in MALFORMED.findall(text):
            binary = unescape(literal)
            seen += 1
            found = refusal(binary)
            if message in found:
                continue
            if CODE_SECTION in binary[8:] and found in ("", "malformed section id"):
                in_code += 1  # in an instruction; the decoder sees at most that the section's end is odd
            else:
                wrong.append((name, binary.hex(" "), message, found))
    assert wrong == []
    assert seen > 680
    assert in_code < 30


def refusal(binary: bytes) -> str:
    """The decoder's message without place and details, or nothing."""
    try:
        decode(binary, features=CORE)
    except ModuleError as error:
        return str(error).split(": ", 1)[1].split(" (")[0]
    return ""


def test_the_other_binary_modules_decode_and_encode_to_the_same_meaning(spec_dir):
    """Decoding what was encoded from a decoded module gives equal fields."""
    seen = 0
    for text in scripts(spec_dir).values():
        refused = {m.group(1) for m in MALFORMED.finditer(text)}
        for literal in BINARY.findall(text):
            if literal in refused:
                continue
            first = decode(unescape(literal), features=CORE)
            again = decode(encode(draft_of(first)), features=CORE)
            assert (again.rec_groups, again.imports, again.exports) == (first.rec_groups, first.imports, first.exports)
            seen += 1
    assert seen > 60


def test_a_proposal_that_is_off_is_named(spec_dir):
    """With the features of version 1.0 a data count section is refused by the name of its proposal."""
    binary = b"\0asm\1\0\0\0\x0c\1\0"
    with pytest.raises(Unsupported) as caught:
        decode(binary, features=frozenset({"mvp"}))
    assert caught.value.feature == "bulk-memory" and caught.value.offset == 10
    assert not isinstance(caught.value, DecodeError)
