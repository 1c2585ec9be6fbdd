"""Claims about plans of updates: what differs between two modules is found, and what is no patch has its reason."""

import random

import pytest

from stratavm import Engine, Module, ModuleError
from stratavm.engine.update_plan import plan_of
from stratavm.module.parser import parse_module
from tests.fuzz.programs import program

ENGINE = Engine(features=Engine().config.features | {"custom-page-sizes"})


@pytest.mark.parametrize("seed", range(24))
def test_exactly_the_bodies_that_were_changed_are_found(seed):
    """One byte each of some bodies, whatever it means: others are the same, and the other way round too."""
    chance = random.Random(seed)
    old = Module(program(seed, shared=0), ENGINE).model
    first, data, wanted = len(old.imported_funcs), bytearray(old.binary), set()
    for index in chance.sample(range(len(old.functions)), k=min(3, len(old.functions))):
        body = old.functions[index]
        at = chance.randrange(body.start, body.end)
        before = data[at]
        data[at] ^= 1 << chance.randrange(7)
        try:
            Module(bytes(data), ENGINE)
        except ModuleError:
            data[at] = before
        else:
            wanted.add(first + index)
    new = Module(bytes(data), ENGINE).model
    for one, other in ((old, new), (new, old)):
        plan = plan_of(one, other)
        assert set(plan.changed) == wanted
        assert plan.kind == ("patch" if wanted else "none")
        assert not wanted & set(plan.dependents)
        if wanted:
            assert plan.unchanged == len(old.functions) - len(wanted) - len(plan.dependents)


def test_two_programs_are_no_patch_of_each_other():
    """Their reasons name parts that differ; of neither a function is compared."""
    for seed in range(8):
        plan = plan_of(Module(program(seed, shared=0), ENGINE).model, Module(program(seed + 1, shared=0), ENGINE).model)
        assert (plan.kind, plan.changed) == ("swap", ())
        assert plan.reasons
        assert str(plan).startswith("no patch: its ")


def test_names_and_custom_sections_do_not_count():
    """They are no functions, and nothing is changed: it is a patch of nothing."""
    old, new = parse_module("(module (func $a))"), parse_module('(module (@custom "x" "y") (func $b))')
    plan = plan_of(old, new)
    assert (plan.kind, plan.changed, plan.added) == ("patch", (), ())


def test_who_may_have_a_changed_function_inlined_depends_on_it():
    """Through short functions, and no further than a long one."""
    text = """(module (func $a {}) (func $b call $a) (func $c call $b) (func $d call $e)
      (func $e {} call $b) (func call $e))"""
    long = "nop " * 400
    plan = plan_of(parse_module(text.format("", long)), parse_module(text.format("nop", long)))
    assert plan.changed == (0,)
    assert plan.dependents == (1, 2, 4)
