"""Structs, arrays, i31 and casts: what each row takes, may trap for, and does to the heap. Typing and running them is
the walks' business: all of it depends on type definitions. What reads or writes one place of an object calls nobody;
what makes objects may, and so may what works on many elements.

Source: WebAssembly 3.0, sections 3.4.6 to 3.4.9 (validation), 4.6.5 to 4.6.9 (execution) and 5.4.2 (binary format).
"""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.spec.declare import plain
from stratavm.spec.record import Effects, Imm

NEW: Final = Effects(allocates=True, calls=True)
READS: Final = Effects(reads=frozenset({"gc"}))
SETS: Final = Effects(writes=frozenset({"gc"}))
WRITES: Final = Effects(writes=frozenset({"gc"}), calls=True)
MOVES: Final = Effects(reads=frozenset({"gc"}), writes=frozenset({"gc"}), calls=True)
LOOKS: Final = Effects(calls=True)
NOTHING: Final = Effects()

STRUCT: Final = ("null_structure",)
BOUNDS: Final = ("null_array", "array_out_of_bounds")
DATA: Final = ("memory_out_of_bounds",)
ELEM: Final = ("table_out_of_bounds",)

_TABLE: tuple[tuple[str, tuple[Imm, ...], tuple[str, ...], Effects, str], ...] = (
    ("struct.new", ("type",), (), NEW, "A struct with the operands as fields."),
    ("struct.new_default", ("type",), (), NEW, "A struct of zeros and nulls."),
    ("struct.get", ("type", "field"), STRUCT, READS, "A field."),
    ("struct.get_s", ("type", "field"), STRUCT, READS, "A packed field, sign-extended."),
    ("struct.get_u", ("type", "field"), STRUCT, READS, "A packed field, zero-extended."),
    ("struct.set", ("type", "field"), STRUCT, SETS, "Set a field."),
    ("array.new", ("type",), (), NEW, "An array of so many elements that are the operand."),
    ("array.new_default", ("type",), (), NEW, "An array of so many zeros or nulls."),
    ("array.new_fixed", ("type", "u32"), (), NEW, "An array of the operands."),
    ("array.new_data", ("type", "data"), DATA, NEW, "An array of numbers from a data segment."),
    ("array.new_elem", ("type", "elem"), ELEM, NEW, "An array of references from an element segment."),
    ("array.get", ("type",), BOUNDS, READS, "An element."),
    ("array.get_s", ("type",), BOUNDS, READS, "A packed element, sign-extended."),
    ("array.get_u", ("type",), BOUNDS, READS, "A packed element, zero-extended."),
    ("array.set", ("type",), BOUNDS, SETS, "Set an element."),
    ("array.len", (), ("null_array",), NOTHING, "How many elements an array has."),
    ("array.fill", ("type",), BOUNDS, WRITES, "Set so many elements to the operand."),
    ("array.copy", ("type", "type"), BOUNDS, MOVES, "Copy elements into an array from another one, or itself."),
    ("array.init_data", ("type", "data"), (*BOUNDS, *DATA), WRITES, "Set elements to numbers from a data segment."),
    ("array.init_elem", ("type", "elem"), (*BOUNDS, *ELEM), WRITES, "Set elements to those of an element segment."),
    ("ref.test", ("heaptype",), (), NOTHING, "1 if the reference is of the type and not null."),
    ("ref.test_null", ("heaptype",), (), NOTHING, "1 if the reference is of the type or null."),
    ("ref.cast", ("heaptype",), ("cast_failure",), NOTHING, "The reference, known to be of the type and not null."),
    ("ref.cast_null", ("heaptype",), ("cast_failure",), NOTHING, "The reference, known to be of the type or null."),
    ("br_on_cast", ("castflags", "label", "heaptype", "heaptype"), (), NOTHING, "Branch if it is of the second type."),
    ("br_on_cast_fail", ("castflags", "label", "heaptype", "heaptype"), (), NOTHING, "Branch if it is not."),
    ("any.convert_extern", (), (), LOOKS, "What came from outside, as what guests can test."),
    ("extern.convert_any", (), (), NEW, "What guests can test, as what goes outside."),
    ("ref.i31", (), (), NOTHING, "A reference that is the low 31 bits of a number."),
    ("i31.get_s", (), ("null_i31",), NOTHING, "That number, sign-extended."),
    ("i31.get_u", (), ("null_i31",), NOTHING, "That number, zero-extended."),
)
_FIELDS = {"ref.test": 1, "ref.test_null": 1, "ref.i31": 1, "i31.get_s": 1, "i31.get_u": 1}
_SPELLINGS = {"ref.test_null": "ref.test", "ref.cast_null": "ref.cast"}

for _code, (_name, _imms, _traps, _effects, _doc) in enumerate(_TABLE):
    plain(
        _code,
        _name,
        prefix=0xFB,
        imms=_imms,
        walk="branch_cast" if _name.startswith("br_") else "object",
        control=_name.startswith("br_"),
        traps=_traps,
        fields=_FIELDS.get(_name, 0),
        effects=_effects,
        feature="gc",
        text=_SPELLINGS.get(_name, ""),
        doc=_doc,
    )
