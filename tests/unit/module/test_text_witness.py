"""An independent witness: the text parser of wasmtime reads the suite's modules to the same sections."""

from __future__ import annotations

import pytest

from stratavm.base.leb import read_uleb
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.lexer import tokenize
from stratavm.module.parser import ModuleParser, parse_wat_to_bytes
from tests import needed
from tests.conftest import find_spec_tests

wasmtime = needed.module("wasmtime")

CUSTOM, ELEMENTS, DATA_COUNT = 0, 9, 12
OTHER_CHOICES = frozenset({"type-equivalence", "type-rec", "type-subtyping"})
"""Implicit types there reuse definitions that wasmtime's parser does not reuse (and the other way round)."""
SUITE = find_spec_tests()
SCRIPTS = sorted(p.stem for p in SUITE.glob("*.wast") if p.stem not in OTHER_CHOICES) if SUITE else []


def module_texts(data: bytes) -> list[str]:
    """Every ``(module …)`` of a script that is not quoted, binary, or an instance."""
    tokens = tokenize(data)
    toks, at, found = tokens.tokens, 0, []
    while toks[at]:
        start = at if toks[at + 1] == "module" else at + 2 if toks[at + 3] == "module" else None
        cursor = ModuleParser(tokens, at + 1)
        cursor.skip_group()
        at = cursor.i
        if start is not None and not {"quote", "binary", "instance", "definition"} & set(toks[start + 2 : start + 4]):
            cursor.i = start + 1
            cursor.skip_group()
            found.append(tokens.text[tokens.offsets[start] : tokens.offsets[cursor.i - 1] + 1])
    return found


def sections(binary: bytes) -> dict[int, bytes]:
    """The sections whose bytes leave no choice: no names, no data count, no elements (table 0 has two spellings)."""
    found, at = {}, 8
    while at < len(binary):
        section = binary[at]
        size, start = read_uleb(binary, at + 1)
        at = start + size
        if section not in (CUSTOM, ELEMENTS, DATA_COUNT):
            found[section] = binary[start:at]
    return found


def elements(binary: bytes) -> list[tuple[object, ...]]:
    """Element segments, without where they lie in the binary."""
    segments = decode(binary, features=ALL).elements
    return [
        (e.mode, e.type, e.funcs, e.table, e.offset and e.offset.code, e.exprs and [x.code for x in e.exprs])
        for e in segments
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_both_parsers_write_the_same_sections(script, spec_dir):
    """Types, implicit types, code, constants: byte for byte."""
    for text in module_texts((spec_dir / f"{script}.wast").read_bytes()):
        try:
            theirs = bytes(wasmtime.wat2wasm(text))
        except wasmtime.WasmtimeError:
            continue  # invalid modules that their parser refuses already
        ours = parse_wat_to_bytes(text)
        assert sections(ours) == sections(theirs), text
        if "elem" in text:
            assert elements(ours) == elements(theirs), text
