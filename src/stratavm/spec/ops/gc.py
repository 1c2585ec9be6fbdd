"""Structs, arrays, i31 and casts: known by name and code, without meaning yet.

Source: WebAssembly 3.0, section 5.4.2 (reference instructions) of the binary format.
"""

from __future__ import annotations

from stratavm.spec.declare import plain
from stratavm.spec.record import Imm

_TABLE: tuple[tuple[str, tuple[Imm, ...]], ...] = (
    ("struct.new", ("type",)),
    ("struct.new_default", ("type",)),
    ("struct.get", ("type", "field")),
    ("struct.get_s", ("type", "field")),
    ("struct.get_u", ("type", "field")),
    ("struct.set", ("type", "field")),
    ("array.new", ("type",)),
    ("array.new_default", ("type",)),
    ("array.new_fixed", ("type", "u32")),
    ("array.new_data", ("type", "data")),
    ("array.new_elem", ("type", "elem")),
    ("array.get", ("type",)),
    ("array.get_s", ("type",)),
    ("array.get_u", ("type",)),
    ("array.set", ("type",)),
    ("array.len", ()),
    ("array.fill", ("type",)),
    ("array.copy", ("type", "type")),
    ("array.init_data", ("type", "data")),
    ("array.init_elem", ("type", "elem")),
    ("ref.test", ("heaptype",)),
    ("ref.test_null", ("heaptype",)),
    ("ref.cast", ("heaptype",)),
    ("ref.cast_null", ("heaptype",)),
    ("br_on_cast", ("castflags", "label", "heaptype", "heaptype")),
    ("br_on_cast_fail", ("castflags", "label", "heaptype", "heaptype")),
    ("any.convert_extern", ()),
    ("extern.convert_any", ()),
    ("ref.i31", ()),
    ("i31.get_s", ()),
    ("i31.get_u", ()),
)
_SPELLINGS = {"ref.test_null": "ref.test", "ref.cast_null": "ref.cast"}

for _code, (_name, _imms) in enumerate(_TABLE):
    plain(
        _code,
        _name,
        prefix=0xFB,
        imms=_imms,
        control=_name.startswith("br_"),
        feature="gc",
        text=_SPELLINGS.get(_name, ""),
    )
