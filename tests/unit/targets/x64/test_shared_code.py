"""Every atomic access of a shared memory is the instruction that keeps its order: looked up in the code."""

from collections import Counter
from functools import cache

import pytest

from stratavm.module.decode import decode
from stratavm.module.features import READY
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.module.wast import parse_script
from tests.fuzz.programs import program
from tests.litmus.shapes import LITMUS, WAYS, guest
from tests.shared_code import WAYS as LEVELS
from tests.shared_code import check, fences, plain_stores, wrong

PROGRAMS = 160
CHANGES = {"add", "sub", "and", "or", "xor", "xchg", "cmpxchg"}


def shared(binary: bytes):
    """A valid module, if it has memories, and all are shared and have a guard: their accesses are trap sites."""
    module = decode(binary, features=READY)
    if not module.memory_types:
        return None
    if any(not m.limits.shared or m.limits.is64 or m.page_shift == 0 for m in module.memory_types):
        return None
    return validate(module, READY)


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
            counts += check(validate(parse_module(guest(litmus, kind), features=READY), READY), LEVELS[way])
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
    from stratavm.native.compile import compile_function

    code = compile_function(validate(parse_module(text)), 0)
    assert fences(code) == 0 and b"\xf0" not in code.code
