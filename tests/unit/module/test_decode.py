"""The decoder on hostile, broken and large input: errors with positions, limits before allocations, lenient names."""

import gc
import random
import time

import pytest

import stratavm
from stratavm.base.errors import DecodeError, ModuleError, ModuleLimit, ResourceLimit, Unsupported, ValidationError
from stratavm.base.forms import replace
from stratavm.base.leb import uleb
from stratavm.module.custom import producers, target_features
from stratavm.module.decode import decode
from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft, encode, name, vector
from stratavm.module.features import ALL
from stratavm.module.limits import DEFAULT_LIMITS, Limits
from stratavm.module.model import ConstExpr, Custom, Element, Export, Global, Import, Names, Table
from stratavm.spec import types as t

HEADER = b"\0asm\1\0\0\0"
ZERO = ConstExpr(b"\x41\0\x0b")
NOTHING = t.FuncType()


def section(id_: int, content: bytes) -> bytes:
    """A module of one section."""
    return HEADER + bytes((id_,)) + uleb(len(content)) + content


def rich() -> bytes:
    """A module with every section."""
    draft = ModuleDraft(memories=[t.MemoryType(t.Limits(1, 2))], data_count=2, start=1)
    draft.imports.append(Import("env", "grüße", "func", NOTHING, draft.type_index(NOTHING)))
    draft.imports.append(Import("env", "g", "global", t.GlobalType(t.I32)))
    draft.function(t.FuncType((t.I32,), (t.I32,)), b"\x20\0\x0b", [(3, t.I32), (2, t.F64)], export="f")
    draft.rec_groups.append(
        t.RecGroup(
            (t.SubType(t.StructType((t.FieldType(t.I8, True),)), False), t.SubType(t.ArrayType(t.FieldType(t.I64))))
        )
    )
    draft.tables.append(Table(t.TableType(t.FUNCREF, t.Limits(3))))
    draft.tags.append(0)
    draft.globals.append(Global(t.GlobalType(t.I32, True), ConstExpr(b"\x23\0\x41\1\x6a\x0b")))
    draft.elements.append(Element("active", t.ref(t.FUNC, False), (0, 1), offset=ZERO))
    draft.elements.append(Element("passive", t.FUNCREF, (), (ConstExpr(b"\xd2\0\x0b"),)))
    draft.datas += [DataDraft(b"hello", ZERO), DataDraft(b"passive")]
    draft.customs.append(Custom("about", b"...", 0, 3))
    draft.names = Names(module="m", funcs={0: "imported", 1: "f"}, locals={1: {0: "x"}})
    return encode(draft)


def test_every_cut_is_refused_or_ends_between_sections():
    """A truncated module is malformed, at a position inside it, unless the cut falls between two sections."""
    binary, whole = rich(), 0
    for size in range(len(binary)):
        try:
            decode(binary[:size], features=ALL)
            whole += 1
        except DecodeError as error:
            assert 0 <= error.offset <= size
    assert whole <= 14


def test_mutations_never_crash_or_hang():
    """10,000 modules with flipped, dropped, repeated and extreme bytes: a module or a typed error, quickly."""
    rng, binary, decoded = random.Random(1), rich(), 0
    started = time.process_time()
    for _ in range(10_000):
        data = bytearray(binary)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(8, len(data))
            match rng.randrange(4):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randrange(1, 9)]
                case 2:
                    data[at:at] = data[at : at + rng.randrange(1, 9)]
                case 3:
                    data[at : at + 1] = rng.choice([b"\xff\xff\xff\xff\x0f", b"\x80", b"\xff" * 8, b"\0", b"\x7f"])
        try:
            decode(bytes(data), features=ALL)
            decoded += 1
        except (ModuleError, ResourceLimit) as error:
            assert str(error)
    assert decoded > 100
    assert time.process_time() - started < 60


@pytest.mark.parametrize("id_", [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13])
def test_a_huge_count_costs_nothing(id_):
    """Four thousand million items in ten bytes are refused before anything is made."""
    started = time.process_time()
    with pytest.raises(DecodeError) as caught:
        decode(section(id_, b"\xff\xff\xff\xff\x0f" + b"\0" * 5), features=ALL)
    assert caught.value.offset == 10 and "4294967295" in str(caught.value)
    assert time.process_time() - started < 1


LIMITED = {
    "types": (Limits(types=2), section(1, b"\3" + b"\x60\0\0" * 3)),
    "types ": (Limits(types=2), section(1, b"\1\x4e\3" + b"\x60\0\0" * 3)),
    "functions": (Limits(functions=1), section(3, b"\2\0\0")),
    "imports": (Limits(imports=0), section(2, b"\1\0\0\2\0\1")),
    "imported_types": (
        Limits(imported_types=1),
        section(1, b"\2\x60\0\0\x60\1\x7f\0") + section(2, b"\2\0\0\0\0\0\0\0\1")[8:],
    ),
    "exports": (Limits(exports=0), section(7, b"\1\0\0\0")),
    "globals": (Limits(globals=0), section(6, b"\1\x7f\0\x41\0\x0b")),
    "tables": (Limits(tables=0), section(4, b"\1\x70\0\0")),
    "memories": (Limits(memories=1), section(5, b"\2\0\0\0\0")),
    "tags": (Limits(tags=0), section(13, b"\1\0\0")),
    "elements": (Limits(elements=0), section(9, b"\1\0\x41\0\x0b\0")),
    "element_items": (Limits(element_items=1), section(9, b"\1\0\x41\0\x0b\2\0\0")),
    "datas": (Limits(datas=0), section(11, b"\1\1\0")),
    "customs": (Limits(customs=0), section(0, b"\0")),
    "params": (Limits(params=1), section(1, b"\1\x60\2\x7f\x7f\0")),
    "results": (Limits(results=1), section(1, b"\1\x60\0\2\x7f\x7f")),
    "struct_fields": (Limits(struct_fields=0), section(1, b"\1\x5f\1\x7f\0")),
    "locals": (Limits(locals=9), section(10, b"\1\4\1\x0a\x7f\x0b")),
    "function_bytes": (Limits(function_bytes=3), section(10, b"\1\4\1\1\x7f\x0b")),
    "name_bytes": (Limits(name_bytes=1000), section(7, b"\1" + name("x" * 1001) + b"\0\0")),
    "const_expr_bytes": (Limits(const_expr_bytes=4), section(6, b"\1\x7f\0" + b"\x01" * 9 + b"\x41\0\x0b")),
    "module_bytes": (Limits(module_bytes=7), HEADER),
}


@pytest.mark.parametrize("which", LIMITED)
def test_each_limit_is_enforced_and_named(which):
    """As a decoding error and as a resource limit, whichever the caller watches for."""
    limits, binary = LIMITED[which]
    with pytest.raises(ModuleLimit) as caught:
        decode(binary, features=ALL, limits=limits)
    assert caught.value.limit == which.strip()
    assert isinstance(caught.value, DecodeError) and isinstance(caught.value, ResourceLimit)


@pytest.mark.parametrize("which", LIMITED)
def test_a_limit_says_what_it_would_have_to_be(which):
    """And following that gets further, up to the end or to another fault, where what was found is a number."""
    limits, binary = LIMITED[which]
    name, before = which.strip(), getattr(limits, which.strip())
    for _ in range(5):
        try:
            decode(binary, features=ALL, limits=limits)
        except ModuleLimit as error:
            assert error.limit == name and f"Limits({name}={error.needed or '…'})" in str(error)
            if error.needed is None:
                return
            assert error.needed > before
            before, limits = error.needed, replace(limits, **{name: error.needed})
        except ModuleError:
            return
        else:
            return
    raise AssertionError("the advice leads on and on")


def test_every_limit_is_enforced_by_someone():
    """Those that are not tried above are the validator's. One that nobody reads would promise what is not kept."""
    validators = {"subtype_depth", "br_table_targets", "operand_stack"}  # tests/unit/module/test_validate.py
    assert {which.strip() for which in LIMITED} | validators == set(Limits.__match_args__)


def test_imported_functions_of_the_same_type_count_once():
    """However often it is defined, and whatever module it is imported from."""
    twice = section(1, b"\2\x60\1\x7f\0\x60\1\x7f\0") + section(2, b"\2\0\0\0\0\0\0\0\1")[8:]
    assert len(decode(twice, limits=Limits(imported_types=1)).imports) == 2


def many_of_one_type(count: int) -> bytes:
    """A module that imports so many functions of one type."""
    imports = uleb(count) + b"\1a\1h\0\0" * count
    return section(1, b"\1\x60\1\x7f\0") + section(2, imports)[8:]


def test_a_type_is_looked_at_once_however_many_imported_functions_have_it():
    """It may have two thousand values, and a million functions: to look at each of them each time took ten seconds."""

    class Asked:
        def __init__(self):
            self.times = 0

        def __getattr__(self, name):
            self.times += name == "imported_types"
            return getattr(DEFAULT_LIMITS, name)

    asked = Asked()
    assert len(decode(many_of_one_type(1000), limits=asked).imports) == 1000
    assert asked.times == 1


def test_linking_looks_at_a_type_once_however_many_functions_have_it(monkeypatch):
    """As decoding does."""
    hashed, real = [], t.FuncType.__hash__

    def count(self):
        hashed.append(self)
        return real(self)

    engine = stratavm.Engine()
    module = stratavm.Module(many_of_one_type(1000), engine=engine)
    linker = stratavm.Linker(engine)
    linker.define("a", "h", lambda value: None)
    with stratavm.Store(engine) as store:
        monkeypatch.setattr(t.FuncType, "__hash__", count)
        linker.instantiate(store, module)
    assert len(hashed) < 100


@pytest.mark.trace_slow
def test_a_module_that_imports_functions_of_many_types_is_refused_before_anything_is_made_of_them():
    """At the first type that is too many, by the decoder: machine code for 275,000 of them was planned for 40 s."""
    count = 275_000
    numbers = [uleb(i) for i in range(count)]
    shapes = b"".join(bytes((0x7C + (i >> 2 * k & 3)) for k in range(9)) for i in range(count))
    types = uleb(count) + b"".join(b"\x60\x09" + shapes[9 * i : 9 * i + 9] + b"\0" for i in range(count))
    imports = uleb(count) + b"".join(b"\0\0\0" + number for number in numbers)
    binary = section(1, types) + section(2, imports)[8:]
    started = time.process_time()
    with pytest.raises(ModuleLimit, match="too many types of imported functions") as caught:
        stratavm.Module(binary)
    assert caught.value.limit == "imported_types"
    assert binary[: caught.value.offset].endswith(numbers[DEFAULT_LIMITS.imported_types - 1] + b"\0\0")
    assert time.process_time() - started < 20


PROPOSALS = {
    "simd": section(1, b"\1\x60\1\x7b\0"),
    "multi-value": section(1, b"\1\x60\0\2\x7f\x7f"),
    "reference-types": section(4, b"\2\x70\0\0\x70\0\0"),
    "function-references": section(1, b"\1\x60\1\x64\x70\0"),
    "gc": section(1, b"\1\x5f\0"),
    "exceptions": section(13, b"\0"),
    "multi-memory": section(5, b"\2\0\0\0\0"),
    "memory64": section(5, b"\1\4\0"),
    "threads": section(5, b"\1\3\0\1"),
    "bulk-memory": section(11, b"\1\1\0"),
    "mutable-globals": section(2, b"\1\0\0\3\x7f\1"),
}


@pytest.mark.parametrize("feature", PROPOSALS)
def test_a_proposal_that_is_off_is_refused_by_name(feature):
    """With a position; and accepted when it is on."""
    decode(PROPOSALS[feature], features=ALL)
    with pytest.raises(Unsupported) as caught:
        decode(PROPOSALS[feature], features=ALL - {feature})
    assert caught.value.feature == feature and feature in str(caught.value)
    assert caught.value.offset is not None and caught.value.offset >= 8


@pytest.mark.parametrize(
    ("binary", "message", "offset"),
    [
        (section(1, b"\1\x61\0\0"), "malformed definition type", 11),
        (section(1, b"\1\x60\1\x40\0"), "malformed value type", 13),
        (section(4, b"\1\x7f\0\0"), "malformed reference type", 11),
        (section(6, b"\1\x7f\2\x41\0\x0b"), "malformed mutability", 12),
        (section(5, b"\1\x10\0"), "malformed limits flags", 11),
        (section(7, b"\1\0\5\0"), "malformed export kind", 12),
        (section(9, b"\1\x08"), "unexpected end", 10),
        (section(9, b"\1\x08\0"), "malformed elements segment kind", 11),
        (section(11, b"\1\3\0"), "malformed data segment kind", 11),
        (section(6, b"\1\x7f\0\xff\x0b"), "illegal opcode ff", 13),
        (section(6, b"\1\x7f\0\xfc\xff\1\x0b"), "illegal opcode fc ff", 13),
        (section(6, b"\1\x7f\0\x41\0"), "unexpected end", 15),
        (section(0, b"\5abc"), "unexpected end", 11),
        (section(0, b"\2\xc0\x80"), "malformed UTF-8 encoding", 11),
        (section(14, b""), "malformed section id", 8),
        (section(3, b"\1\0"), "function and code section have inconsistent lengths", 12),
    ],
)
def test_errors_say_what_and_where(binary, message, offset):
    """The suite's words, and the offset of the byte to look at."""
    with pytest.raises(DecodeError) as caught:
        decode(binary, features=ALL)
    assert caught.value.message.startswith(message)
    assert caught.value.offset == offset


def test_an_import_of_an_unknown_type_is_invalid_not_malformed():
    """The model cannot hold it, so the decoder says what the validator would."""
    for index, content in ((1, b""), (0, b"\1\x5f\0")):
        binary = HEADER + (b"\1" + uleb(len(content)) + content if content else b"") + b"\2\5\1\0\0\0" + uleb(index)
        with pytest.raises(ValidationError):
            decode(binary, features=ALL)


def test_names_are_read_as_far_as_they_go():
    """A broken subsection is left out, the others are kept, and the module is not malformed."""
    good = b"\1" + uleb(4) + b"\1\0\1f"
    broken = b"\2\3\xff\xff\xff"
    unknown = b"\x63\1\0"
    after = b"\7\4\1\0\1g"
    data = good + broken + unknown + after
    module = decode(HEADER + encode(ModuleDraft(customs=[Custom("name", data, 0)]))[8:])
    assert module.names == Names(funcs={0: "f"}, globals={0: "g"})
    cut = decode(encode(ModuleDraft(customs=[Custom("name", good + b"\7\x7f\1\0\1g", 0)])))
    assert cut.names == Names(funcs={0: "f"})
    assert bytes(cut.customs[0].data).startswith(good)


@pytest.mark.parametrize(
    "start, recorded", [("", (1, 3)), ("(start 0)", (1, 3)), ("(start 2)", (1, 2, 3)), ("(start 3)", (1, 3))]
)
def test_functions_with_a_body_that_something_outside_of_bodies_refers_to(start, recorded):
    """In order; the start function is one of them, and what is imported is none."""
    text = f"""(module (func (import "a" "b")) (func) (func) (func) (table funcref (elem 3 0 1)) (export "x" (func 0))
      {start})"""
    assert decode(stratavm.Module(text).model.binary).recorded_funcs == recorded


def test_producers_and_features_are_read_leniently():
    """Whole ones as they are, broken ones up to the damage."""
    made = vector(["language"], name) + vector([("C", "11"), ("Rust", "1.90")], lambda p: name(p[0]) + name(p[1]))
    uses = b"\3+" + name("simd128") + b"-" + name("atomics") + b"?" + name("x")
    module = decode(encode(ModuleDraft(customs=[Custom("producers", made, 0), Custom("target_features", uses, 0)])))
    assert producers(module) == {"language": {"C": "11", "Rust": "1.90"}}
    assert target_features(module) == {"simd128": "used", "atomics": "disallowed"}
    broken = decode(encode(ModuleDraft(customs=[Custom("producers", made[:-3], 0)])))
    assert producers(broken) == {"language": {"C": "11"}}
    assert producers(decode(HEADER)) == target_features(decode(HEADER)) == {}


def test_instructions_of_bodies_are_not_read():
    """Twenty megabytes of nonsense decode at once: the code section costs by functions, not by bytes."""
    draft = ModuleDraft(rec_groups=[t.RecGroup((t.SubType(NOTHING),))])
    draft.functions = [FunctionDraft(0, b"\xff" * 5_000_000 + b"\x0b")] * 4
    binary = encode(draft)
    started = time.process_time()
    module = decode(binary)
    assert time.process_time() - started < 1
    assert module.functions[3].end == len(binary)


def test_other_kinds_of_bytes_are_taken():
    """A bytearray or a view is copied once."""
    binary = rich()
    assert decode(bytearray(binary), features=ALL) == decode(memoryview(binary), features=ALL)
    assert decode(bytearray(binary), features=ALL).exports == (Export("f", "func", 1),)


def test_what_a_large_module_has_many_of_costs_the_collector_nothing():
    """Functions, data segments and constant expressions are not tracked, and die by their counts."""
    binary = rich()
    module = decode(binary, features=ALL)
    many = [*module.functions, *module.datas, module.datas[0].offset, module.globals[0].init]
    assert not any(map(gc.is_tracked, many))
    function = module.functions[0]
    del module, many
    gc.collect()
    assert binary[function.start : function.end] == b"\x20\0\x0b"
