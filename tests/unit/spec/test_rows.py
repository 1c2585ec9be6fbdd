"""Rows: complete, consistent, and with the codes that another implementation assembles."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter

import pytest

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.module.features import FEATURES
from stratavm.spec import ops
from stratavm.spec.declare import ROWS, Declared, add
from stratavm.spec.domain import LETTER_TYPES
from stratavm.spec.ids import N_IDS, NO_ID, PREFIXES
from stratavm.spec.index import (
    BY_CODE,
    BY_ID,
    BY_MNEMONIC,
    IDS,
    by_spelling,
)
from stratavm.spec.record import Row, row_id, rows_by_id
from tests import needed
from tools import gen_rows

wasmtime = needed.module("wasmtime")


def test_every_proposal_has_as_many_opcodes_as_its_specification():
    """Counted in the binary format chapter of the specification and in the threads proposal."""
    assert Counter(row.feature for row in BY_ID.values()) == {
        "mvp": 172,
        "sign-extension": 5,
        "saturating-float-to-int": 8,
        "bulk-memory": 7,
        "reference-types": 9,
        "simd": 236,
        "relaxed-simd": 20,
        "gc": 32,
        "exceptions": 3,
        "legacy-exceptions": 5,
        "tail-call": 3,
        "function-references": 4,
        "atomics": 67,
        "wide-arithmetic": 4,
    }


def test_ids_are_unique_and_below_the_ids_of_the_intermediate_form():
    """A row's id is its code behind the first id of its prefix; ir/ssa.pxd numbers its own nodes from 0x8000."""
    assert all(row_id(row) == number == IDS[row.mnemonic] for number, row in BY_ID.items())
    assert max(BY_ID) < N_IDS <= 0x8000
    assert all(BY_CODE[row.prefix, row.code] is row and BY_MNEMONIC[row.mnemonic] is row for row in BY_ID.values())
    assert IDS["unreachable"] == 0
    assert NO_ID not in BY_ID
    assert NO_ID in PREFIXES


def test_rows_are_written_down_as_they_were_declared():
    """Every field of every row; what they mean, and the sentence about it, stay with the declarations."""
    facts = attrgetter(*Row.__match_args__)
    assert list(BY_ID) == list(ops.BY_ID)
    assert [facts(row) for row in BY_ID.values()] == [facts(row) for row in ops.BY_ID.values()]
    assert {*Declared.__match_args__} - {*Row.__match_args__} == {"semantics", "doc"}


def test_a_row_is_made_when_it_is_asked_for_and_once():
    """By whatever key; what is no row is no key."""
    assert BY_ID[0x6A] is BY_CODE[0, 0x6A] is BY_MNEMONIC["i32.add"]
    assert 0x6A in BY_ID
    assert (0, 0x16) not in BY_CODE
    assert BY_CODE.get((0, 0x16)) is None


def test_a_new_row_moves_no_id():
    """Not one in front of all others, not one in a gap, and not one behind a prefix."""
    new = [Row("new.byte", 0, 0xFA), Row("new.first", 0, 0x16), Row("new.bulk", 0xFC, 18), Row("new.lane", 0xFD, 511)]
    assert not {row_id(row) for row in new} & BY_ID.keys()
    larger = rows_by_id([*new, *BY_ID.values()])
    assert {number: row for number, row in larger.items() if row not in new} == BY_ID
    assert IDS["i32.add"] == 0x6A, "ids of one-byte opcodes are the bytes"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("far.op", 0xFC, 64), r"far\.op has code 0x40, and behind 0xfc .* codes below 0x40 only"),
        (Row("wide.op", 0, 256), r"wide\.op has code 0x100, and behind 0x0 .* below 0x100 only"),
        (Row("alien.op", 0xFA, 1), r"alien\.op has the prefix 0xfa, for which"),
    ],
)
def test_a_row_for_which_no_id_is_reserved_is_refused(row, said):
    """By name, with the limit and where it is."""
    with pytest.raises(ValueError, match=said):
        rows_by_id([row])


def test_what_a_row_names_exists():
    """Features, trap kinds, signature letters and other rows are known; a row has a signature or a walk, or needs a
    proposal that is not there.
    """
    for row in BY_ID.values():
        assert row.feature in FEATURES, row
        assert set(row.traps) <= set(TRAPS_BY_NAME), row
        assert row.signature or row.walk, row
        assert not (row.signature and row.fields), row
        assert {row.twin, row.negation, row.mirror, row.reload, row.lane, row.part, row.via} <= {"", *IDS}, row
        assert set(row.operands + row.results) <= {*LETTER_TYPES, "a"}, row
        assert ops.BY_MNEMONIC[row.mnemonic].doc, row


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"signature": "iq->i"}, "new.op: no letter of a signature is called 'q'; there are 'i', 'I', "),
        ({"feature": "tail-calls"}, "new.op: no proposal is called 'tail-calls'; did you mean 'tail-call'"),
        ({"traps": ("div_by_zer",)}, "new.op: no kind of trap is called 'div_by_zer'; did you mean 'div_by_zero'?"),
        ({"imms": ("u33",)}, "new.op: no kind of immediate is called 'u33'; did you mean 'u32'?"),
        ({"walk": "brnch"}, "new.op: no walk is called 'brnch'; did you mean 'branch'"),
        ({"kind": "comp"}, "new.op: no kind of operation is called 'comp'; did you mean 'compare'?"),
        ({"shape": "i32x5"}, "new.op: no shape of vectors is called 'i32x5'; did you mean 'i32x4'"),
        ({"via": "i8x16.spat"}, "new.op: no row is called 'i8x16.spat'; did you mean 'i8x16.splat'"),
        ({"negation": "i32.nee"}, "new.op: no row is called 'i32.nee'; did you mean 'i32.ne'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_row_that_names_what_there_is_not_is_refused_by_its_generator(given, said):
    """Before the other generators fall over it, with what is near."""
    with pytest.raises(SystemExit) as caught:
        gen_rows.check([Row("new.op", 0, 0xC5, **given)])
    assert str(caught.value).startswith(said)
    assert gen_rows.check(BY_ID.values()) is None


def test_a_taken_opcode_or_mnemonic_is_refused():
    """Two meanings of one opcode would be a silent lottery."""
    with pytest.raises(ValueError, match=r"new\.op and i32\.add share 0x0 0x6a"):
        add(Declared("new.op", 0, 0x6A))
    with pytest.raises(ValueError, match=r"i32\.add is declared twice"):
        add(Declared("i32.add", 0, 0xFFFF))
    assert "new.op" not in ROWS


def test_only_rows_with_a_suffix_share_a_spelling():
    """The text parser chooses between them by what follows."""
    shared = {text: [row.mnemonic for row in rows] for text, rows in by_spelling().items() if len(rows) > 1}
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


PLAIN = [row for row in BY_ID.values() if set(row.imms) <= set(IMMEDIATES) and row.feature != "gc" and not row.control]


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
