"""Every atomic access of a shared memory is the instruction that keeps its order: looked up in the code."""

import re
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.module.wast import parse_script
from stratavm.native.compile import compile_function
from stratavm.spec.index import BY_ID
from tests.fuzz.programs import program
from tests.litmus.shapes import LITMUS, WAYS, guest
from tests.shared_code import WAYS as LEVELS
from tests.shared_code import access, check, disassembled, fences, plain_stores, wrong

PROGRAMS = 160
CHANGES = {"add", "sub", "and", "or", "xor", "xchg", "cmpxchg"}


def shared(binary: bytes):
    """A valid module, if it has memories, and all are shared and have a guard: their accesses are trap sites."""
    module = decode(binary, features=ALL)
    if not module.memory_types:
        return None
    if any(not m.limits.shared or m.limits.is64 or m.page_shift == 0 for m in module.memory_types):
        return None
    return validate(module, ALL)


def official(spec_dir):
    """The modules of the script for atomic instructions."""
    for command in parse_script((spec_dir / "proposals/threads/atomic.wast").read_bytes()):
        if command.kind == "module" and (valid := shared(command.module.parse())) is not None:
            yield valid


@cache
def generated():
    """Programs whose memories are all shared, as far as they have trap sites."""
    found = (shared(program(seed, shared=1)) for seed in range(PROGRAMS))
    return [valid for valid in found if valid is not None]


@pytest.mark.parametrize("way", LEVELS)
def test_the_script_s_modules_have_every_access_in_order(spec_dir, way):
    """All of them, in every width."""
    counts = sum((check(valid, LEVELS[way]) for valid in official(spec_dir)), Counter())
    assert counts["load"] >= 7 and counts["store"] >= 7 and all(counts[change] >= 7 for change in CHANGES)


@pytest.mark.parametrize("way", LEVELS)
def test_generated_modules_have_every_access_in_order(way):
    """Among everything else that a function has, in loops that are unrolled and functions that are inlined."""
    counts = sum((check(valid, LEVELS[way]) for valid in generated()), Counter())
    assert {"load", "store", *CHANGES} <= {what for what, count in counts.items() if count}


@pytest.mark.parametrize("way", LEVELS)
def test_guests_of_litmus_tests_have_every_access_in_order(way):
    """What is run is what was meant, the fences too."""
    counts = Counter[str]()
    for litmus in LITMUS:
        for kind in WAYS:
            counts += check(validate(parse_module(guest(litmus, kind), features=ALL), ALL), LEVELS[way])
    assert all(counts[what] for what in ("load", "store", "xchg", "or", "fence"))


@pytest.mark.parametrize("way", LEVELS)
def test_a_plain_store_is_found(spec_dir, way):
    """What a rule with ``mov`` in the place of ``xchg`` would give fails the check."""
    valid = next(official(spec_dir))
    with pytest.raises(AssertionError, match="mov is no exchange with memory"):
        check(valid, LEVELS[way], plain_stores)


def test_each_kind_of_wrong_code_is_named():
    """The judge, on instructions by hand."""
    place = "dword ptr [r11 + rax]"
    assert wrong("load", [("mov", f"ecx, {place}")]) == "" == wrong("store", [("xchg", f"{place}, ecx")])
    assert wrong("store", [("mov", f"{place}, ecx")]) and wrong("load", [("mov", f"{place}, ecx")])
    assert wrong("add", [("add", f"{place}, ecx")]) and wrong("cmpxchg", [("cmpxchg", f"{place}, ecx")])
    assert wrong("add", [("lock xadd", f"{place}, ecx")]) == "" == wrong("xor", [("lock xor", f"{place}, 1")])
    loop = [("mov", f"eax, {place}"), ("mov", "edi, eax"), ("or", "edi, ecx"), ("lock cmpxchg", f"{place}, edi")]
    assert wrong("or", [*loop, ("jne", "6")]) == ""
    assert wrong("and", [*loop, ("jne", "6")]) and wrong("or", [*loop[:3], ("cmpxchg", place), ("jne", "6")])


def test_a_module_without_shared_memories_has_no_fence():
    """And no locked instruction: nobody would see the difference."""
    text = """(module (memory 1) (func (param i32) (atomic.fence)
      (i32.atomic.store (local.get 0) (i32.atomic.rmw.or (local.get 0) (i32.const 1)))))"""
    code = compile_function(validate(parse_module(text)), 0)
    assert fences(code) == 0 and b"\xf0" not in code.code


LETTERS = {"i": "i32", "I": "i64"}
MEMORIES = {
    "i64": ("guard", "i64 1 1 shared"),
    "bytes": ("guard", "1 1 shared (pagesize 1)"),
    "bounded": ("bounded", "1 1 shared"),
    "bounded, i64": ("bounded", "i64 1 1 shared"),
}
"""Kinds whose accesses are checked by comparisons, so that no trap site says where they are."""


SIZE = "r11 + 8"


def single(row, memory):
    """A function that is one atomic access."""
    taken, _, given = row.signature.partition("->")
    address = "i64" if "i64" in memory else "i32"
    params = " ".join(address if letter == "a" else LETTERS[letter] for letter in taken)
    operands = " ".join(f"(local.get {n})" for n in range(len(taken)))
    result = f"(result {LETTERS[given]})" if given else ""
    return f"(module (memory {memory}) (func (param {params}) {result} ({row.mnemonic} {operands})))"


def of_memory(mnemonic, operands):
    """Whether an instruction accesses a guest's memory: neither computes nor compares an address, and its operand is
    not in a frame, a context, the memory's definition (its size) or the code."""
    if mnemonic in ("lea", "cmp"):
        return False
    place = operands.partition("[")[2].partition("]")[0]
    return place not in ("", SIZE) and not {"rsp", "rbp", "r14", "r15", "rip"} & {
        word.strip() for word in re.split("[-+*]", place)
    }


def accesses(code):
    """What accesses a guest's memory, each with what follows."""
    found = [(i.mnemonic, i.op_str) for i in disassembled(code)]
    return [found[n : n + 5] for n, one in enumerate(found) if of_memory(*one)]


@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("way", LEVELS)
def test_accesses_that_are_checked_by_comparison_are_in_order_too(way, kind):
    """Each row alone: its function has that one access of memory, or the loop, and no other."""
    plan, memory = MEMORIES[kind]
    options = replace(LEVELS[way], memory_plan=plan)
    counts = Counter()
    for row in BY_ID.values():
        if row.walk != "atomic" or row.access is None or access(row) in ("notify", "wait"):
            continue
        valid = validate(parse_module(single(row, memory), features=ALL), ALL)
        code = compile_function(valid, 0, options=options)
        first, *more = accesses(code)
        assert wrong(access(row), first) == "", (row.mnemonic, first)
        assert [m for m, *_ in more] in ([], first[3:4]), (row.mnemonic, more)  # the loop has two
        counts[access(row)] += 1
        if access(row) == "store":
            [unordered] = accesses(plain_stores(code))
            assert wrong("store", unordered) == "mov is no exchange with memory"
    assert all(counts[what] == 7 for what in ("load", "store", *CHANGES))
