# strata: hot
"""Runs the stages of an optimiser over one function after the other, without the GIL. ``pipeline.py`` says which ones,
and in which order.
"""

import cython
from cython.cimports.stratavm.ir.passes.inline import Inline, Templates
from cython.cimports.stratavm.ir.passes.stream import UNCHANGED
from cython.cimports.stratavm.ir.prune import Pruner
from cython.cimports.stratavm.ir.ssa import Ssa
from cython.cimports.stratavm.ir.stage import Stage, unlimited


@cython.auto_pickle(False)
@cython.cclass
class Driver(Stage):
    """Stages that work on two forms in turn: the input, which does not survive, and the output.

    ``scope`` says where they may act; ``callees`` are the small functions of the module, or None.
    """

    def __init__(self, scope: object, callees: Templates | None) -> None:
        super().__init__()
        self.ssa, self.out = Ssa(), Ssa()
        self.pruner = Pruner(self.out)
        self.whole, self.rewrites = scope.whole, scope.rewrites
        self.callees = callees
        self.stages = []

    @property
    def stages(self) -> list[Stage]:
        """In the order in which they run."""
        return self.order

    @stages.setter
    def stages(self, stages: list[Stage]) -> None:
        stage: Stage
        self.inline = None
        for stage in stages:
            stage.ssa, stage.out = self.ssa, self.out
            if isinstance(stage, Inline):
                self.inline = stage
        self.order = stages
        self.count = len(stages)

    def run(self, ssa: Ssa, out: Ssa) -> None:
        """Optimise ``ssa`` into ``out``."""
        self.ssa.assign(ssa)
        with cython.nogil:
            self.apply()
        out.swap(self.out)

    def plan(self, ssa: Ssa) -> list[Stage]:
        """The stages that ``apply`` runs over a function; the first knows which calls it inlines."""
        if self.inline is None or self.inline.prepare(ssa, self.callees, LEVELS_OF_CALLS):
            return self.order
        return self.order[1:]

    def apply(self):
        """Optimise the input into the output from below the GIL. Most functions have no call to inline, and are not
        copied for nothing.
        """
        i: cython.Py_ssize_t = 0
        self.left = self.budget_of(self.ssa.func)
        self.spent = 0
        if self.inline is not None and not self.inline.choose_calls(self.callees, LEVELS_OF_CALLS):
            i = 1
        while i < self.count:
            self.step(cython.cast(Stage, stage_at(self.order, i)))
            i += 1
        if self.inline is not None:
            self.inline.forget()
        self.ssa.swap(self.out)
        return self.pruner.prune()

    def budget_of(self, func):
        """Rewrites allowed in a function, as ``Scope`` says."""
        if func < self.whole:
            return unlimited()
        return self.rewrites if func == self.whole else 0

    def step(self, stage):
        """One stage; its output is the input of the next."""
        stage.budget = self.left
        if stage.apply() != UNCHANGED:
            self.ssa.swap(self.out)
        self.left -= stage.spent
        self.spent += stage.spent
        return 0
