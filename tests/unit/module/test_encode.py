"""Encoding and decoding are inverse, for every field of a module; another decoder agrees with the bytes."""

from dataclasses import fields

import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.module.decode import decode
from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft, encode
from stratavm.module.features import ALL
from stratavm.module.model import ConstExpr, Custom, Element, Export, Global, Import, Module, Names, Table
from stratavm.spec import types as t
from tests.unit.module.drafts import draft_of

ZERO = ConstExpr(b"\x41\0\x0b")
INDEX = st.integers(0, 2**20)
NAME = st.text(max_size=8)
NUMBER = st.sampled_from([t.I32, t.I64, t.F32, t.F64, t.V128])
HEAP = st.sampled_from(sorted(t.HEAP_NAMES)) | INDEX.map(lambda i: i + t.CONCRETE)
REFERENCE = st.builds(t.ref, HEAP, st.booleans())
VALUE = NUMBER | REFERENCE
FUNC = st.builds(t.FuncType, st.lists(VALUE, max_size=3).map(tuple), st.lists(VALUE, max_size=3).map(tuple))
FIELD = st.builds(t.FieldType, VALUE | st.sampled_from([t.I8, t.I16]), st.booleans())
COMPOSITE = FUNC | st.builds(t.StructType, st.lists(FIELD, max_size=3).map(tuple)) | st.builds(t.ArrayType, FIELD)
SUB = st.builds(t.SubType, COMPOSITE, st.booleans(), st.lists(INDEX, max_size=1).map(tuple))
GROUP = st.builds(t.RecGroup, st.lists(SUB, max_size=3).map(tuple))
LIMITS = st.builds(
    t.Limits, st.integers(0, 2**64 - 1), st.none() | st.integers(0, 2**64 - 1), st.booleans(), st.booleans()
)
MEMORY = st.builds(t.MemoryType, LIMITS, st.sampled_from([16, 0]))
TABLE_TYPE = st.builds(t.TableType, REFERENCE, LIMITS)
GLOBAL_TYPE = st.builds(t.GlobalType, VALUE, st.booleans())
EXPR = st.sampled_from([
    b"\x41\0\x0b", b"\x41\x80\x80\x80\x80\x78\x0b", b"\x42\x7f\x0b", b"\x43\0\0\x80\x3f\x0b",
    b"\x44" + bytes(8) + b"\x0b", b"\x23\5\x0b", b"\xd2\x80\1\x0b", b"\xd0\x70\x0b", b"\xd0\x05\x0b",
    b"\x41\1\x23\0\x6a\x0b", b"\xfd\x0c" + bytes(range(16)) + b"\x0b", b"\x02\x40\x0b\x0b",
    b"\x02\x7f\x41\0\x0b\x0b", b"\xfb\x1c\x0b", b"\x0b", b"\x0e\2\0\1\2\x0b", b"\x28\2\0\x0b", b"\x1c\1\x7f\x0b",
]).map(ConstExpr)  # fmt: skip
FIRST = t.RecGroup((t.SubType(t.FuncType((t.I32,), ())),))
IMPORT = st.one_of(
    st.builds(Import, NAME, NAME, st.just("func"), st.just(FIRST.types[0].composite), st.just(0)),
    st.builds(Import, NAME, NAME, st.just("table"), TABLE_TYPE),
    st.builds(Import, NAME, NAME, st.just("memory"), MEMORY),
    st.builds(Import, NAME, NAME, st.just("global"), GLOBAL_TYPE),
    st.builds(Import, NAME, NAME, st.just("tag"), st.just(t.TagType(FIRST.types[0].composite, 0)), st.just(0)),
)
ACTIVE = st.tuples(st.just("active"), INDEX, EXPR)
MODE = st.sampled_from([("passive", 0, None), ("declared", 0, None)]) | ACTIVE
FUNCS = st.builds(
    lambda mode, funcs: Element(mode[0], t.ref(t.FUNC, False), tuple(funcs), None, mode[1], mode[2]),
    MODE, st.lists(INDEX, max_size=3),
)  # fmt: skip
EXPRS = st.builds(
    lambda mode, type_, exprs: Element(mode[0], type_, (), tuple(exprs), mode[1], mode[2]),
    MODE, REFERENCE, st.lists(EXPR, max_size=3),
)  # fmt: skip
RUNS = st.lists(st.tuples(st.integers(0, 99), VALUE), max_size=3).map(tuple)
BODY = st.binary(max_size=20).map(lambda b: b + b"\x0b")
DATA = st.builds(DataDraft, st.binary(max_size=9), st.none()) | st.builds(DataDraft, st.binary(max_size=9), EXPR, INDEX)
NAME_MAP = st.dictionaries(INDEX, NAME, max_size=3)
NESTED = st.dictionaries(INDEX, NAME_MAP.filter(bool), max_size=2)
NAMES = st.builds(Names, st.none() | NAME, NAME_MAP, NESTED, NESTED, *[NAME_MAP] * 6, NESTED, NAME_MAP)
AFTER = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])


@st.composite
def drafts(draw):
    """Any module that can be written, valid or not."""
    some = lambda what: draw(st.lists(what, max_size=3))  # noqa: E731
    datas = some(DATA)
    kind = st.sampled_from(["func", "table", "memory", "global", "tag"])
    return ModuleDraft(
        rec_groups=[FIRST, *some(GROUP)],
        imports=some(IMPORT),
        functions=some(st.builds(FunctionDraft, INDEX, BODY, RUNS)),
        tables=some(st.builds(Table, TABLE_TYPE, st.none() | EXPR)),
        memories=some(MEMORY),
        tags=[0] * draw(st.integers(0, 2)),
        globals=some(st.builds(Global, GLOBAL_TYPE, EXPR)),
        exports=some(st.builds(Export, NAME, kind, INDEX)),
        start=draw(st.none() | INDEX),
        elements=some(FUNCS | EXPRS),
        datas=datas,
        data_count=draw(st.sampled_from([None, len(datas)])),
        customs=some(st.builds(Custom, NAME.filter(lambda n: n != "name"), st.binary(max_size=9), st.just(0), AFTER)),
        names=draw(st.none() | NAMES),
    )


def plain(value: object) -> object:
    """A field without the offsets, which depend on the bytes."""
    if isinstance(value, ConstExpr):
        return value.code
    if isinstance(value, tuple | list):
        return tuple(map(plain, value))
    if isinstance(value, Table | Global | Element):
        return tuple(plain(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, Custom):
        return value.name, value.data, value.after
    return value


@settings(max_examples=120, deadline=None)
@given(drafts())
def test_what_is_encoded_is_decoded(draft):
    """Field by field."""
    module = decode(encode(draft), features=ALL)
    for name in (
        "rec_groups",
        "imports",
        "tables",
        "memories",
        "globals",
        "exports",
        "start",
        "elements",
        "data_count",
    ):
        assert (name, plain(getattr(module, name))) == (name, plain(getattr(draft, name)))
    assert [t.type_index for t in module.tags] == draft.tags
    assert [(f.type_index, f.locals) for f in module.functions] == [(f.type_index, f.locals) for f in draft.functions]
    assert [module.binary[f.start : f.end] for f in module.functions] == [f.body for f in draft.functions]
    assert [module.binary[d.start : d.end] for d in module.datas] == [d.data for d in draft.datas]
    assert [(d.memory, plain(d.offset)) for d in module.datas] == [(d.memory, plain(d.offset)) for d in draft.datas]
    assert module.names == (draft.names or Names())


@settings(max_examples=40, deadline=None)
@given(drafts())
def test_a_second_encoding_is_the_same(draft):
    """encode ∘ draft_of ∘ decode is the identity on what the encoder wrote."""
    binary = encode(draft)
    assert encode(draft_of(decode(binary, features=ALL))) == binary


@settings(max_examples=40, deadline=None)
@given(drafts())
def test_offsets_point_at_what_they_describe(draft):
    """Constant expressions and custom sections are found where their offset says."""
    module = decode(encode(draft), features=ALL)
    for expr in [g.init for g in module.globals] + [d.offset for d in module.datas if d.offset]:
        assert module.binary[expr.offset : expr.offset + len(expr.code)] == expr.code
    for custom in module.customs:
        assert module.binary[custom.offset : custom.offset + len(custom.data)] == custom.data


def test_the_builder_makes_modules_that_run_elsewhere():
    """A function, a memory, data, an element segment: another engine instantiates and calls it."""
    draft = ModuleDraft()
    binary_op = t.FuncType((t.I32, t.I32), (t.I32,))
    draft.imports.append(
        Import("env", "seven", "func", t.FuncType((), (t.I32,)), draft.type_index(t.FuncType((), (t.I32,))))
    )
    add = draft.function(binary_op, bytes.fromhex("200020016a10006a0b"), export="add")
    load = draft.function(t.FuncType((), (t.I32,)), bytes.fromhex("41002d00000b"), export="load")
    assert (add, load, draft.count("func"), len(draft.rec_groups)) == (1, 2, 3, 2)
    draft.memories.append(t.MemoryType(t.Limits(1)))
    draft.datas.append(DataDraft(b"\x2a", ZERO))
    draft.tables.append(Table(t.TableType(t.FUNCREF, t.Limits(3))))
    draft.elements.append(Element("active", t.ref(t.FUNC, False), (add, load), offset=ZERO))
    draft.names = Names(module="built", funcs={1: "add"})
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    seven = wasmtime.Func(store, wasmtime.FuncType([], [wasmtime.ValType.i32()]), lambda: 7)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, encode(draft)), [seven])
    assert instance.exports(store)["add"](store, 2, 3) == 12
    assert instance.exports(store)["load"](store) == 42


def test_an_empty_module_is_eight_bytes():
    """No section at all."""
    assert encode(ModuleDraft()) == b"\0asm\1\0\0\0"
    assert decode(encode(ModuleDraft())) == Module(binary=b"\0asm\1\0\0\0")
