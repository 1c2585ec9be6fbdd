"""Validation: facts of bodies, errors that teach, determinism over threads."""

from __future__ import annotations

import pytest

from stratavm.base.errors import DecodeError, ModuleLimit, Unsupported, ValidationError
from stratavm.base.leb import uleb
from stratavm.module.decode import decode
from stratavm.module.encode import ModuleDraft, encode
from stratavm.module.features import ALL
from stratavm.module.limits import Limits
from stratavm.module.model import Module
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.spec.index import BY_ID
from stratavm.spec.types import RecGroup, StructType, SubType


def facts(text: str):  # type: ignore[no-untyped-def]
    """Facts of the first body."""
    return validate(parse_module(text)).bodies[0]


def test_a_loop_lists_the_locals_assigned_inside_each_once() -> None:
    """Nested loops: the outer list holds the inner one's locals too; what is set outside is in none."""
    body = facts(
        """(module (func (local i32 i32 i32 i32)
             (local.set 3 (i32.const 1))
             (loop
               (local.set 0 (i32.const 1)) (local.set 0 (i32.const 2))
               (loop (local.set 1 (i32.const 1)) (local.set 0 (i32.const 3)))
               (loop (drop (local.tee 2 (i32.const 1))))
               (local.set 1 (i32.const 2)))
             (loop (local.set 3 (i32.const 1)))))"""
    )
    assert [sorted(loop) for loop in body.loops] == [[0, 1, 2], [0, 1], [2], [3]]
    assert all(len(set(loop)) == len(loop) for loop in body.loops)


def test_assignments_in_unreachable_code_do_not_count() -> None:
    """A local that only dead code sets needs no loop parameter."""
    assert facts("(module (func (local i32) (loop (br 0) (local.set 0))))").loops == ((),)


def test_facts_count_locals_stack_and_depth() -> None:
    """Locals include the parameters; the stack's high-water mark is exact enough to size a frame."""
    body = facts(
        """(module (func (param i64) (local i32 i32 f64)
             (block (block (drop (i32.add (i32.const 1) (i32.add (i32.const 2) (i32.const 3))))))))"""
    )
    assert (body.n_params, body.n_locals, body.max_stack, body.max_depth) == (1, 4, 3, 3)
    assert not body.calls and not body.complex


ALIGNMENT = "alignment must not be larger than natural"


@pytest.mark.parametrize(
    ("body", "message", "op", "expected", "found"),
    [
        ("(result i32) i64.const 1", "type mismatch", "end", "i32", "i64"),
        ("(result i32) i32.const 1 i64.const 1 i32.add", "type mismatch", "i32.add", "i32", "i64"),
        ("i32.add drop", "type mismatch", "i32.add", "i32", "an empty stack"),
        (
            "block (result i64) try_table (catch_ref 0 0) end i64.const 1 end drop",
            "unknown tag 0",
            "catch_ref of try_table",
            "no index at all",
            "0",
        ),
        (
            "block (result i64) try_table (catch_all_ref 0) end i64.const 1 end drop",
            "type mismatch",
            "catch_all_ref of try_table",
            "i64",
            "(ref exn)",
        ),
        (
            "block try_table (catch_all 0) (catch_all 7) end end",
            "unknown label 7",
            "catch_all of try_table",
            "below 2",
            "7",
        ),
        ("local.get 5 drop", "unknown local 5", "local.get", "no index at all", "5"),
        ("call 9", "unknown function 9", "call", "below 1", "9"),
        ("br 3", "unknown label 3", "br", "below 1", "3"),
        ("i32.const 1", "type mismatch", "end", "0 value(s) at the end of the block", "1"),
        (
            "i32.const 0 i32.load align=8 drop",
            "alignment must not be larger than natural",
            "i32.load",
            "at most 2**2",
            "2**3",
        ),
        ("ref.func 0 drop", "undeclared function reference", "ref.func", "", "0x0"),
    ],
)
def test_a_body_error_says_where_and_what(body: str, message: str, op: str, expected: str, found: str) -> None:
    """Offset, function, mnemonic, expected, found."""
    module = parse_module(f"(module (memory 1) (func {body}))")
    with pytest.raises(ValidationError) as caught:
        validate(module)
    error = caught.value
    assert (error.message, error.op, error.expected, error.found) == (message, op, expected, found)
    assert error.func == 0
    function = module.functions[0]
    assert function.start <= error.offset < function.end


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(module (func (export "a")) (func (export "a")))', "duplicate export name"),
        ("(module (memory 2 1))", "size minimum must not be greater than maximum"),
        ("(module (memory 65537))", "memory size must be at most 65536 pages (4GiB)"),
        ("(module (global i32 (i32.ctz (i32.const 1))))", "constant expression required"),
        ("(module (global i32 (i64.const 1)))", "type mismatch"),
        ("(module (func (param i32)) (start 0))", "start function"),
        ("(module (start 3))", "unknown function 3"),
        ('(module (export "m" (memory 0)))', "unknown memory 0"),
        ('(module (data (i32.const 0) "x"))', "unknown memory 0"),
        ("(module (elem (i32.const 0) func))", "unknown table 0"),
        ("(module (global i32 (i32.const 1)) (func (global.set 0 (i32.const 1))))", "immutable global"),
        ("(module (func (type 7)))", "unknown type"),
    ],
)
def test_a_module_error_has_the_words_of_the_specification(text: str, message: str) -> None:
    """Checks above the bodies."""
    with pytest.raises(Exception) as caught:
        validate(parse_module(text))
    assert message in str(caught.value)


def chain(length: int) -> Module:
    """Structures, each below the one before."""
    draft = ModuleDraft([RecGroup((SubType(StructType(), final=False, supers=() if i == 0 else (i - 1,)),))
                         for i in range(length)])  # fmt: skip
    return decode(encode(draft), features=ALL)


def test_supertypes_above_each_other_have_a_limit() -> None:
    """Whether types match is found by going through them."""
    validate(chain(64), ALL)
    with pytest.raises(ModuleLimit, match="at most 63, found 64") as caught:
        validate(chain(65), ALL)
    assert caught.value.limit == "subtype_depth"


def test_a_supertype_comes_before_its_subtypes() -> None:
    """Two types of one group that were each below the other would have no end."""
    types = tuple(SubType(StructType(), final=False, supers=(other,)) for other in (1, 0))
    module = decode(encode(ModuleDraft([RecGroup(types)])), features=ALL)
    with pytest.raises(ValidationError, match="unknown type 1"):
        validate(module, ALL)


def test_a_type_that_is_used_before_it_is_there_is_named_and_where_cycles_go() -> None:
    """The beginner's mistake with recursive types; of an index that no type has only the bound is said."""
    later = "(type $a (struct (field (ref null $b)))) (type $b (struct (field (ref null $a))))"
    said = r"unknown type 1 \(\$b\) \(expected below 1: what refers to types behind it .* in one \(rec …\)\)"
    with pytest.raises(ValidationError, match=said):
        validate(parse_module(f"(module {later})", features=ALL), ALL)
    validate(parse_module(f"(module (rec {later}))", features=ALL), ALL)
    with pytest.raises(ValidationError, match=r"unknown type 1 \(\$b\) .* a type stands behind those that it extends"):
        validate(parse_module("(module (type (sub $b (struct))) (type $b (sub (struct))))", features=ALL), ALL)
    with pytest.raises(ValidationError, match=r"unknown type 1 \(expected below 1\)$"):
        validate(parse_module("(module (type (struct (field (ref 1)))))", features=ALL), ALL)


def test_a_br_table_has_a_limit() -> None:
    """The limit is the validator's, because only it reads bodies."""
    module = parse_module("(module (func (br_table 0 0 0 (i32.const 0))))")
    validate(module, limits=Limits(br_table_targets=2))
    with pytest.raises(ModuleLimit) as caught:
        validate(module, limits=Limits(br_table_targets=1))
    assert caught.value.limit == "br_table_targets"


def test_the_operand_stack_has_a_limit() -> None:
    """A call of two bytes may push a thousand values: the stack's height is bounded, not only the body's size."""
    text = f"(module (func $f (result {'i32 ' * 1000}) (unreachable)) (func {'(call $f)' * 1100} (unreachable)))"
    with pytest.raises(ModuleLimit) as caught:
        validate(parse_module(text))
    assert caught.value.limit == "operand_stack"


@pytest.mark.parametrize("plain", ["(i32.const 0)", "(local.get 0)", "(global.get 0)", "(call 0)"])
@pytest.mark.parametrize("most", [1, 5, 47, 48, 49, 300])
def test_the_operand_stack_has_a_limit_far_from_the_end_of_a_body(plain: str, most: int) -> None:
    """A stack that is low again at the end was too high nevertheless; one value less is not."""

    def module(height: int) -> Module:
        text = f"(func (result i32) unreachable) (func (local i32) {plain * height} {'drop ' * height})"
        return parse_module(f"(module (global i32 (i32.const 0)) {text})")

    validate(module(most), limits=Limits(operand_stack=most))
    with pytest.raises(ModuleLimit) as caught:
        validate(module(most + 1), limits=Limits(operand_stack=most))
    assert caught.value.limit == "operand_stack"


def test_extended_constants_are_typed() -> None:
    """``add`` on constants is constant; on another type a mismatch."""
    validate(
        parse_module("(module (global $a i32 (i32.const 1)) (global i32 (i32.add (global.get $a) (i32.const 2))))")
    )
    with pytest.raises(ValidationError, match="type mismatch"):
        validate(parse_module("(module (global i32 (i32.add (i64.const 1) (i32.const 2))))"))


@pytest.mark.parametrize(
    ("row", "feature"), [("ref.i31 (i32.const 0)", "gc"), ("i32.extend8_s (i32.const 1)", "sign-extension")]
)
def test_a_proposal_that_is_switched_off_is_named(row: str, feature: str) -> None:
    """What needs it is invalid, at the instruction."""
    module = parse_module(f"(module (func (drop ({row}))))")
    with pytest.raises(ValidationError, match=f"needs the proposal {feature}, which is switched off") as caught:
        validate(module, features=ALL - {feature})
    assert caught.value.op == row.split()[0]
    validate(module)


def many(count: int, bad: dict[int, str]) -> Module:
    """A module of ``count`` functions, some of them wrong."""
    good = "(func (param i32) (result i32)" + "(drop (i32.add (local.get 0) (i32.const 7)))" * 60 + "(local.get 0))"
    return parse_module("(module" + "".join(bad.get(i, good) for i in range(count)) + ")")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_lowest_faulty_function_is_reported_on_any_number_of_threads(threads: int) -> None:
    """Two faults in different chunks: always the first."""
    module = many(1500, {700: "(func (result i32))", 1400: "(func (i32.add))"})
    for _ in range(3):
        with pytest.raises(ValidationError) as caught:
            validate(module, threads=threads)
        assert caught.value.func == 700


def test_facts_do_not_depend_on_the_number_of_threads() -> None:
    """All bodies of a module that spans several chunks."""
    loop = "(func (local i32 i32) (loop (local.set 1 (i32.const 1)) (loop (local.set 0 (i32.const 2)))))"
    module = many(1500, dict.fromkeys(range(0, 1500, 7), loop))
    one, three = (validate(module, threads=n).bodies for n in (1, 3))
    assert len(one) == 1500
    assert [one[i] for i in range(1500)] == [three[i] for i in range(1500)]


def test_a_body_without_end_is_malformed() -> None:
    """The walk reads bodies for the decoder: what the binary format forbids is a DecodeError."""
    module = parse_module("(module (func (block nop)))")
    data = bytearray(module.binary)
    data[module.functions[0].end - 2] = 0x01  # the block's end becomes a nop
    broken = Module(bytes(data), module.rec_groups, functions=module.functions)
    with pytest.raises(DecodeError, match="END opcode expected"):
        validate(broken)


def test_every_row_of_a_ready_proposal_is_known_to_the_walk() -> None:
    """No enabled row may end in 'needs the proposal': the walk has a case for each."""
    for row in BY_ID.values():
        if row.feature not in ALL or row.mnemonic in ("end", "else"):
            continue
        data = bytes([row.prefix]) + uleb(row.code) if row.prefix else bytes([row.code])
        body = data + b"\0" * 12 + b"\x0b" * 2
        module = parse_module("(module (func (nop)))")
        head = module.binary[: module.functions[0].start]
        function = type(module.functions[0])(0, len(head), len(head) + len(body))
        try:
            validate(Module(head + body, module.rec_groups, functions=(function,)))
        except (ValidationError, DecodeError):
            continue
        except Unsupported as error:
            assert row.mnemonic == "ref.null", error  # the zero is a type index there: typed references
