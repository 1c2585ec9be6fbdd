"""Finding a wrong rewrite of the optimiser: first the pass, then the function, then the one rewrite.

A program is run again and again, each time with a larger or smaller part of the optimiser at work; what it does is
compared with what the oracle does. Each question halves what is left, so that a module of a thousand functions with a
million rewrites takes about thirty runs. The method is that of LLVM's ``opt-bisect-limit``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from stratavm.base.choices import TierName
from stratavm.base.forms import dataclass
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.engine.source import SourceLike
from stratavm.front.wasm.front import WasmFront
from stratavm.ir.callees import Callees
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.scope import EVERYWHERE, Scope
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import node_text

Observe = Callable[[Module], Hashable]
"""Runs the program from a module, and says what was seen of it: results, traps, output."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The first wrong rewrite.

    Attributes:
        name: the pass; empty when the code is wrong without any pass (then selection or allocation is to blame).
        func: index of the function; -1 for a pass of the machine level, which is named without function and node.
        func_name: its name.
        rewrite: number of the rewrite in the function, from 1, of so many.
        rewrites: how many there are.
        node: the node before the rewrite, as text.
        offset: the byte offset in the module that the node comes from.
        expected: what the reference did.
        found: what the wrong program does.
        runs: how often the program ran.
    """

    name: str
    func: int
    func_name: str
    rewrite: int
    rewrites: int
    node: str
    offset: int
    expected: Hashable
    found: Hashable
    runs: int


class _Search:
    """One search: the program, and what it should do."""

    def __init__(self, source: SourceLike, observe: Observe, config: Config, reference: TierName) -> None:
        self.source, self.observe = source, observe
        self.config = config.having(strict=False, tier="jit1", profile=None, lift_after=None)
        self.runs = 1
        self.module = Module(source, engine=Engine(Config(tier=reference, features=config.features)))
        self.expected = observe(self.module)

    def find(self) -> Culprit | None:
        """The culprit, or None if the program does what it should."""
        found, passes = self.run(self.config.ssa_passes), self.config.ssa_passes
        if found == self.expected:
            return None
        plain = self.run(())
        if plain != self.expected:
            return Culprit(self.machine_pass(), -1, "", 0, 0, "", 0, self.expected, plain, self.runs)
        count = next(k for k in range(1, len(passes) + 1) if self.wrong(passes[:k]))
        passes = passes[:count]
        model = self.module.model
        imported = len(model.imported_funcs)
        func = first_wrong(imported, len(model.func_type_indices), lambda n: self.wrong(passes, Scope(n))) - 1
        front = WasmFront(self.module.valid, self.module.engine.config.fuel)
        pipeline, ssa = Pipeline(passes, callees=Callees(front)), Ssa()
        front.build(func - imported, ssa)
        pipeline.run(ssa, Ssa())
        total = pipeline.spent
        number = first_wrong(0, total, lambda n: self.wrong(passes, Scope(func, n)))
        name, before, node = pipeline.blame(ssa, number)
        view = before.dump()
        text, (origin, position) = node_text(view, node), view.place_of(node)
        offset = model.body_start(origin) + position
        return Culprit(name, func, model.func_name(func), number, total, text, offset, self.expected, found, self.runs)

    def machine_pass(self) -> str:
        """The pass of the machine level that makes a program wrong without SSA passes; empty: selection is wrong."""
        names, config = self.config.codegen_passes, self.config
        try:
            for count in range(len(names) + 1):
                self.config = config.having(machine_passes=names[:count])
                if self.wrong(()):
                    return names[count - 1] if count else ""
        finally:
            self.config = config
        return ""

    def wrong(self, passes: tuple[str, ...], scope: Scope = EVERYWHERE) -> bool:
        """Whether the program does something else with these passes."""
        return self.run(passes, scope) != self.expected

    def run(self, passes: tuple[str, ...], scope: Scope = EVERYWHERE) -> Hashable:
        """What the program does with these passes."""
        engine = Engine(self.config.having(tier="jit1", passes=passes), services={Scope: scope})
        self.runs += 1
        return self.observe(Module(self.source, engine=engine))


def first_wrong(good: int, bad: int, wrong: Callable[[int], bool]) -> int:
    """A number that is wrong while the one before it is right; ``good`` is known to be right, ``bad`` to be wrong."""
    while bad - good > 1:
        middle = (good + bad) // 2
        if wrong(middle):
            bad = middle
        else:
            good = middle
    return bad


def bisect(
    source: SourceLike, observe: Observe, config: Config | None = None, reference: TierName = "oracle"
) -> Culprit | None:
    """Find the first rewrite of the optimiser that changes what a program does; None if nothing does.

    Args:
        source: the module.
        observe: runs the program; it must do the same each time.
        config: options, the passes among them.
        reference: the tier that is right.
    """
    return _Search(source, observe, config or Config(tier="jit1"), reference).find()
