"""Which passes run at which level, and in which order. Each is a switch: for ablation, and to name a culprit."""

from __future__ import annotations

from _collections_abc import Callable, Iterator

from stratavm.base import switches
from stratavm.base.forms import Final
from stratavm.base.importing import importing
from stratavm.ir.callees import Callees
from stratavm.ir.driver import Driver
from stratavm.ir.passes.cfg import Cfg
from stratavm.ir.passes.inline import Inline
from stratavm.ir.passes.licm import Licm
from stratavm.ir.passes.promote import Promote
from stratavm.ir.passes.unroll import Unroll
from stratavm.ir.passes.values import Values
from stratavm.ir.passes.versions import Versions
from stratavm.ir.scope import EVERYWHERE, Scope
from stratavm.ir.ssa import Ssa
from stratavm.ir.stage import Stage

ORDER: Final[tuple[tuple[Callable[..., Stage], dict[str, str]], ...]] = (
    (Inline, {"inline": "small functions take the place of calls"}),
    (Cfg, {"cfg": "decided branches, ways past decided questions, empty and joined blocks, parameters of one value"}),
    (
        Values,
        {
            "fold": "constants, and the rules that `strata rules` lists: cheaper operations, branches on negations",
            "strength": "division of i64 and by negative constants, products by 3, 5 and 9 (with fold)",
            "share": "value numbering: what was computed before is not computed again",
            "loads": "loads, global.get and reads of objects that nothing can have changed; values just stored",
            "checks": "bounds of a memory that an earlier access of the same address proved (bounded plan)",
        },
    ),
    (Licm, {"licm": "what a loop computes from values of outside is computed before it"}),
    (Promote, {"promote": "a global that a small loop sets stays in a register through it"}),
    (Versions, {"versions": "small loops have a version without checks of bounds, chosen before them (bounded plan)"}),
    (Unroll, {"unroll": "small loops stand two or four times behind themselves, and poll once"}),
)
"""Stages in the order in which they run, with the passes that each walk does, by name."""
PASSES: Final[dict[str, str]] = {name: text for _, passes in ORDER for name, text in passes.items()}
"""Passes of the SSA form by name."""
LEVELS: Final[dict[int, tuple[str, ...]]] = {0: (), 1: tuple(PASSES)}
"""What each level runs."""
TOLD_BY_RULES: Final = frozenset({"fold", "strength"})
"""Passes that do nothing but what rules say."""
FOR_CHECKS: Final = frozenset({"checks", "versions"})
"""Those that only do something about checks of bounds."""
CHECKS: Final = switches.CHECK.value()


class Pipeline(Driver):  # type: ignore[misc]  # a compiled class
    """Runs a choice of passes; keeps their scratch memory, so one object serves one thread.

    Args:
        passes: their names.
        scope: where they may act.
        callees: the small functions of the module; ``inline`` needs them.
    """

    def __init__(self, passes: tuple[str, ...], scope: Scope = EVERYWHERE, callees: Callees | None = None) -> None:
        unknown = set(passes) - PASSES.keys()
        if unknown:
            raise ValueError(f"unknown passes: {', '.join(sorted(unknown))}; there are {', '.join(PASSES)}")
        if "inline" in passes and callees is None:
            raise ValueError("inlining needs the module's small functions: pass callees")
        super().__init__(scope, callees)
        self.passes = passes
        self.scope = scope
        stages: list[Stage] = []
        for make, names in ORDER:
            if chosen := [name for name in names if name in passes]:
                stages.append(make(chosen) if len(names) > 1 else make())
        self.stages = stages

    def run(self, ssa: Ssa, out: Ssa) -> None:
        """Optimise ``ssa`` into ``out``; under ``STRATA_CHECK`` 2 the result is verified."""
        super().run(ssa, out)
        if CHECKS >= 2:
            with importing:
                from stratavm.ir.verify import verify

            verify(out)

    def explain(self, ssa: Ssa) -> Iterator[tuple[str, tuple[int, int], str]]:
        """What the passes do to a function, in order: the name of a rule or a pass, the function that the node is from
        with the position in its body, and the node as it was before that pass.
        """
        with importing:  # nobody but tools asks for it
            from stratavm.ir.text import node_text

        for stage in self.plan(ssa):
            out = Ssa()
            stage.budget = self.scope.budget(ssa.func)
            stage.explains = True
            stage.run(ssa, out)
            stage.explains = False
            view = ssa.dump()
            for name, node in stage.explained:
                if name not in TOLD_BY_RULES:
                    yield name, view.place_of(node), node_text(view, node)
            ssa = out

    def blame(self, ssa: Ssa, rewrites: int) -> tuple[str, Ssa, int]:
        """The pass of the rewrite that uses up a budget, its input, and the node there.

        Raises:
            ValueError: the function has fewer rewrites.
        """
        for stage in self.plan(ssa):
            out = Ssa()
            stage.budget = rewrites
            stage.run(ssa, out)
            if stage.spent >= rewrites:
                name, node = stage.last
                return name, ssa, node
            rewrites -= stage.spent
            ssa = out
        raise ValueError(f"{rewrites} rewrites more than there are")
