"""A second front end: programs of a toy language run on both levels, and do what the evaluator of the SSA form says."""

from types import SimpleNamespace

import pytest

from stratavm.ir.evaluate import evaluate
from stratavm.ir.pipeline import LEVELS
from stratavm.ir.ssa import Ssa
from stratavm.ir.stage import Stage
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import SsaError, verify
from stratavm.native.compile import MACHINE_LEVELS, ModuleCompiler, Options
from tests.unit.front.stack_language import StackLanguage
from tests.unit.targets.x64.ssa_build import Runner

PROGRAM = """
square 1 dup *
cube 1 dup square *
squares 2 square swap square +
sign 1 dup if drop 1 then
fibonacci 1 dup dup 1 - * if dup 1 - fibonacci swap 2 - fibonacci + then
power 2 1 begin rot swap over * rot 1 - swap over again
turned 3 rot rot swap - *
"""
SAMPLES = {
    "square": ([7], 49),
    "cube": ([3], 27),
    "squares": ([3, 4], 25),
    "sign": ([1 << 40], 1),
    "fibonacci": ([11], 89),
    "power": ([3, 5], 243),
    "turned": ([2, 10, 3], 24),
}
LEVEL_1 = Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])


class Evaluated:
    """A program as the evaluator runs it."""

    def __init__(self, front):
        self.forms = [Ssa() for _ in front.names]
        for index, ssa in enumerate(self.forms):
            front.build(index, ssa)
            verify(ssa)

    def callee(self, index):
        """What a call calls."""
        return SimpleNamespace(call_raw=lambda arguments: evaluate(self.forms[index], self, arguments))


class Compiled:
    """A program as machine code."""

    def __init__(self, front, options):
        compiler = ModuleCompiler(front, options)
        self.types, self.runner = front.types, Runner()
        self.codes = [compiler.compile(index) for index in range(len(front.names))]
        self.records = [self.runner.add(c, t, i) for i, (c, t) in enumerate(zip(self.codes, self.types, strict=True))]

    def call(self, index, arguments):
        """Enter a function from outside."""
        status, results = self.runner.world.call(self.records[index], self.types[index], arguments)
        assert status == 0
        return results


@pytest.fixture(scope="module")
def front():
    """The program."""
    return StackLanguage(PROGRAM)


@pytest.mark.parametrize("options", [Options(), LEVEL_1], ids=["level 0", "level 1"])
def test_machine_code_does_what_the_evaluator_says(front, options):
    """Calls, branches and loops, of a module that is no WebAssembly; and both say what a person expects."""
    evaluated, compiled = Evaluated(front), Compiled(front, options)
    for name, (arguments, expected) in SAMPLES.items():
        index = front.names.index(name)
        assert evaluated.callee(index).call_raw(arguments) == [expected], name
        assert compiled.call(index, list(arguments)) == [expected], name
    for n in range(8):
        index = front.names.index("sign")
        assert compiled.call(index, [n]) == evaluated.callee(index).call_raw([n]) == [n > 0]


def test_small_functions_are_inlined_whatever_the_language(front):
    """Its pipeline asks the front end for them."""
    compiler, ssa, out = ModuleCompiler(front, LEVEL_1), Ssa(), Ssa()
    front.build(front.names.index("cube"), ssa)
    compiler.pipeline().run(ssa, out)
    assert "call" in print_ssa(ssa)
    assert "call" not in print_ssa(out)


def test_a_front_end_that_does_not_want_it_keeps_its_calls():
    """Where positions of nodes may have the bit that says where an inlined node is from."""
    front, ssa, out = StackLanguage(PROGRAM), Ssa(), Ssa()
    front.inlines = False
    front.build(front.names.index("cube"), ssa)
    ModuleCompiler(front, LEVEL_1).pipeline().run(ssa, out)
    assert "call" in print_ssa(out)


def spoil(ssa, out):
    """A form whose first operation has a result of another type."""
    view = ssa.dump()
    at, (op, type_, *rest) = next((i, node) for i, node in enumerate(view.nodes) if node[0] < 0x8000)
    view.nodes[at] = (op, type_ - 1, *rest)
    out.load(view)
    return out


class Spoiling(Stage):
    """A pass that makes nonsense."""

    def transform(self, ssa, out):
        """As ``spoil``."""
        return spoil(ssa, out)


class SpoilingFront(StackLanguage):
    """A front end that makes nonsense."""

    def build(self, defined, ssa):
        """As ``spoil``."""
        super().build(defined, ssa)
        spoil(ssa, ssa)


class SpoilingCompiler(ModuleCompiler):
    """A compiler with such a pass."""

    def pipeline(self):
        """Behind the others."""
        made = super().pipeline()
        made.stages = [*made.stages, Spoiling()]
        return made


@pytest.mark.parametrize(
    "compiler", [ModuleCompiler(SpoilingFront(PROGRAM)), SpoilingCompiler(StackLanguage(PROGRAM), LEVEL_1)]
)
def test_every_form_is_verified_where_that_is_asked_for(compiler, monkeypatch):
    """One that a front end made, and one that came out of the passes; nothing is selected from it."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    with pytest.raises(SsaError, match="func 2"):
        compiler.compile(2)
    assert compiler.stages_ns["select"] == 0
