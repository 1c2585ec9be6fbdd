"""The tier that moves: functions begin at level 0, and those that run much are compiled again at level 1.

A call of a function that was lifted goes to its new code by the slot; who comes by the address of the old one (a
FuncRec) is shown the new one as it counts (``runtime/builtin_calls``: ``note_use``). Code of level 0 that is running
runs on: both have the same conventions.
"""

from __future__ import annotations

import time

from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.base.forms import Any, dataclass
from stratavm.native.compile import DEFAULT, ModuleCompiler, Options
from stratavm.native.stubtable import publish
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.jit.lift_events import LiftRecorder
from stratavm.tiers.jit.tier import Jit, JitModule
from stratavm.tiers.policy import NEVER, Policy, Seen, Thresholds


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a function.

    Attributes:
        function: its index; ``size``: bytes of its body.
        level: of its code, -1 where it has none.
        calls: that were seen of it at level 0; ``ticks``: that found it there.
        reason: why it is where it is.
    """

    function: int
    size: int
    level: int
    calls: int
    ticks: int
    reason: str


class LiftedCode(LazyCode):
    """A module's code at two levels. ``upper`` makes level 1."""

    def lift_by(self, policy: Policy, options: Options) -> None:
        """Count calls, and ask a policy; ``options`` are those of level 1. To be called first, and once."""
        self.policy = policy
        self.options = options
        self.reasons: dict[int, str] = {}
        self._upper: ModuleCompiler | None = None
        recorder = self._recorder
        self._told = None if recorder is None else LiftRecorder.of(recorder.source.bus, recorder.source)
        self.table.count_calls(policy.calls, policy.period, policy.ticks)

    def attach(self, instance: Any) -> None:
        """Make an instance callable."""
        super().attach(instance)
        instance.lifter = self.lift

    def compile_at_call(self, defined_index: int) -> int:
        """The address of a function's code: of level 1 at once, if the policy needs no call for that."""
        if self.policy.calls == 0 and not self.table.code(defined_index):
            self.lift(defined_index, 0, 0)
        return super().compile_at_call(defined_index)

    def lift(self, defined_index: int, calls: int, ticks: int) -> int:
        """Ask the policy about a function of level 0, and do what it says. Returns the calls at which it is asked
        again.

        Raises:
            Stopped, DeadlineExceeded: the budget of the thread ended it; nothing has happened.
        """
        function = self.first + defined_index
        seen = Seen(function, calls, ticks, self.compiler.front.body_size(defined_index), 0)
        decision = self.policy.decide(seen)
        if self._told is not None:
            self._told.decided(decision.lift, function, calls, ticks, seen.waiting)
        self.reasons[defined_index] = decision.reason
        if not decision.lift:
            return decision.ask_at
        refused = self._lift_now(defined_index)
        if not refused:
            return decision.ask_at if calls == 0 else calls  # at once: by who has the old address
        self.reasons[defined_index] = refused
        if self._told is not None:
            self._told.dropped(function, "refused")
        return NEVER

    def _lift_now(self, defined_index: int) -> str:
        """Compile at level 1 and publish, in the foreground. Returns why not; empty if it was done."""
        begin = time.perf_counter_ns()
        before = self.table.slot(defined_index)
        try:
            code = self.upper.compile(defined_index)
        except (Unsupported, ResourceLimit) as error:
            return str(error)
        if code.level == 0:
            return "too large for level 1"
        [address] = publish(self.owner, [code], [self.first + defined_index])
        if self.install(defined_index, before, address, len(code)) == address and self._told is not None:
            self._told.lifted(self.first + defined_index, time.perf_counter_ns() - begin, len(code))
        return ""

    @property
    def upper(self) -> ModuleCompiler:
        """The compiler of level 1; made when the first function wants it."""
        if self._upper is None:
            self._upper = ModuleCompiler(self.compiler.front, self.options)
        return self._upper

    def verdicts(self) -> list[Verdict]:
        """What became of each function that has code, or of which anything is known."""
        return [
            self._verdict(index)
            for index in range(self.table.count)
            if self.table.code(index) or self.first + index in self.fallbacks
        ]

    def _verdict(self, index: int) -> Verdict:
        calls, ticks = self.table.tally(index)
        fallback = self.fallbacks.get(self.first + index)
        reason = fallback or self.reasons.get(index, "few")
        size = self.compiler.front.body_size(index)
        return Verdict(self.first + index, size, self.table.level(index), calls, ticks, reason)


class AutoModule(JitModule):
    """A module's machine code at two levels."""

    code_type = LiftedCode
    lazy: LiftedCode

    @property
    def code_key(self) -> str:
        """Empty: code that counts is not kept for the next process."""
        return ""

    def verdicts(self) -> list[Verdict]:
        """What became of each function that was compiled."""
        return self.lazy.verdicts()


@dataclass(frozen=True, slots=True)
class Auto(Jit):
    """Level 0 first, level 1 for what runs much.

    Attributes:
        upper: options of level 1; ``options`` are those of level 0.
        policy: what decides.
    """

    name: str = "auto"
    upper: Options = DEFAULT
    policy: Policy = Thresholds()

    def module_of(self, *given: Any) -> JitModule:
        """A module whose functions are lifted."""
        module = AutoModule(*given)
        module.lazy.lift_by(self.policy, self.upper)
        return module
