"""Rows: complete, consistent, and with the codes that another implementation assembles."""

from __future__ import annotations

from collections import Counter

import pytest

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.spec.domain import LETTER_TYPES
from stratavm.spec.features import FEATURES, READY
from stratavm.spec.index import BY_CODE, BY_ID, BY_MNEMONIC, BY_SPELLING, IDS, row_id
from stratavm.spec.record import ROWS, Row, add

wasmtime = pytest.importorskip("wasmtime")


def test_every_proposal_has_as_many_opcodes_as_its_specification():
    """Counted in the binary format chapter of the specification and in the threads proposal."""
    assert Counter(row.feature for row in BY_ID) == {
        "mvp": 172,
        "sign-extension": 5,
        "saturating-float-to-int": 8,
        "bulk-memory": 7,
        "reference-types": 9,
        "simd": 236,
        "relaxed-simd": 20,
        "gc": 32,
        "exceptions": 3,
        "tail-call": 3,
        "function-references": 4,
        "threads": 67,
    }


def test_ids_are_dense_and_below_the_ids_of_the_intermediate_form():
    """A row's id is its position; ir/ssa.pxd numbers its own nodes from 0x8000."""
    assert [row_id(row) for row in BY_ID] == list(range(len(ROWS)))
    assert len(BY_ID) < 0x8000
    assert all(BY_CODE[row.prefix, row.code] is row and BY_MNEMONIC[row.mnemonic] is row for row in BY_ID)
    assert IDS["unreachable"] == 0


def test_what_a_row_names_exists():
    """Features, trap kinds and signature letters are known; a row has a signature or a check."""
    for row in BY_ID:
        assert row.feature in FEATURES, row
        assert set(row.traps) <= set(TRAPS_BY_NAME), row
        assert bool(row.signature) != bool(row.check), row
        assert set(row.operands + row.results) <= {*LETTER_TYPES, "a"}, row
        assert row.doc or row.feature not in READY, row


def test_a_taken_opcode_or_mnemonic_is_refused():
    """Two meanings of one opcode would be a silent lottery."""
    with pytest.raises(ValueError, match=r"new\.op and i32\.add share 0x0 0x6a"):
        add(Row("new.op", 0, 0x6A))
    with pytest.raises(ValueError, match=r"i32\.add is declared twice"):
        add(Row("i32.add", 0, 0xFFFF))
    assert "new.op" not in ROWS


def test_only_rows_with_a_suffix_share_a_spelling():
    """The text parser chooses between them by what follows."""
    shared = {text: [row.mnemonic for row in rows] for text, rows in BY_SPELLING.items() if len(rows) > 1}
    assert shared == {
        "select": ["select", "select_t"],
        "ref.test": ["ref.test", "ref.test_null"],
        "ref.cast": ["ref.cast", "ref.cast_null"],
    }


IMMEDIATES = {
    "memarg": ("", (None, 0, 0)),
    "lane": ("0", (0,)),
    "lanes16": (" ".join(["0"] * 16), (0,) * 16),
    "v128": ("i64x2 0 0", (0,) * 16),
    "memory": ("", (0,)),
    "zero": ("", (0,)),
    "i32": ("0", (0,)),
    "i64": ("0", (0,)),
    "f32": ("0", (0,) * 4),
    "f64": ("0", (0,) * 8),
    "data": ("0", (0,)),
    "elem": ("0", (0,)),
    "table": ("0", (0,)),
    "local": ("0", (0,)),
    "global": ("0", (0,)),
    "func": ("0", (0,)),
}


def leb(value: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def assemble(row: Row) -> tuple[str, bytes]:
    """The instruction as text and as bytes, with zero immediates and natural alignment."""
    text, code = [row.spelling], bytes([row.prefix]) + leb(row.code) if row.prefix else bytes([row.code])
    imms = row.imms if row.mnemonic != "memory.init" else ("data", "memory")
    for kind in imms:
        spelled, raw = IMMEDIATES[kind]
        if kind == "memarg":
            assert row.access is not None
            raw = (row.access.bytes.bit_length() - 1, 0)
        text.append(spelled)
        code += bytes(raw)
    return " ".join(text), code


PLAIN = [row for row in BY_ID if set(row.imms) <= set(IMMEDIATES) and row.feature != "gc" and not row.control]


@pytest.mark.parametrize("feature", sorted({row.feature for row in PLAIN}))
def test_codes_agree_with_another_assembler(feature):
    """Every instruction without control, behind ``unreachable``, assembled by wasmtime's wat."""
    rows = [row for row in PLAIN if row.feature == feature and row.mnemonic not in ("select_t", "ref.as_non_null")]
    for row in rows:
        text, code = assemble(row)
        source = f"""(module (memory 1) (table 1 funcref) (global (mut i32) (i32.const 0)) (data "") (elem func)
            (func (local i32) unreachable {text} unreachable))"""
        assert b"\x00" + code + b"\x00\x0b" in bytes(wasmtime.wat2wasm(source)), row.mnemonic
    assert rows or feature == "function-references"
