"""The tier that moves: functions begin at level 0, and those that run much are compiled again at level 1.

A call of a function that was lifted goes to its new code by the slot; who comes by the address of the old one (a
FuncRec) is shown the new one as it counts (``runtime/builtin_calls``: ``note_use``). Code of level 0 that is running
runs on, but for loops that ticks find: those go on in code of level 1 that begins there (``native.osr``, ADR-0030).
"""

from __future__ import annotations

import threading
import time
from _collections_abc import Iterable
from weakref import WeakSet

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.base.forms import TYPE_CHECKING, Any, Final, dataclass, field
from stratavm.base.importing import importing
from stratavm.native.compile import DEFAULT, ModuleCompiler, Options
from stratavm.native.stubtable import publish
from stratavm.tiers.jit.lazy import CHECKS, LazyCode
from stratavm.tiers.jit.lift_events import LiftRecorder
from stratavm.tiers.jit.tier import Jit, JitModule
from stratavm.tiers.policy import MOST_WAITING, NEVER, Policy, Seen, Thresholds

if TYPE_CHECKING:
    from stratavm.native.lift import LiftQueue


EXPECTED_CALLS: Final = 1 << 31
"""As which what is expected to be hot is queued: before all that was counted, behind what a tick finds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a function.

    Attributes:
        function: its index; ``size``: bytes of its body.
        level: of its code, -1 where it has none.
        calls: that were seen of it at level 0; ``ticks``: that found it there.
        reason: why it is where it is: as ``Decision.reason``, or ``waits``, ``kept`` (it came compiled from the cache
            or an image), ``profile`` (it was expected to be hot), or why it cannot be elsewhere.
        beside: whether a thread beside the program made its code of level 1.
    """

    function: int
    size: int
    level: int
    calls: int
    ticks: int
    reason: str
    beside: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """What became of a loop that ran for long.

    Attributes:
        function: whose it is; ``pc``: where its poll at level 0 returns to.
        code: where it goes on at level 1; 0 where it cannot, and ``reason`` says why.
    """

    function: int
    pc: int
    code: int
    reason: str


class LiftedCode(LazyCode):
    """A module's code at two levels. ``upper`` makes level 1: on a thread beside the program, or while that waits."""

    def lift_by(self, policy: Policy, options: Options, beside: bool, exact: bool) -> None:
        """Count calls, and ask a policy; ``options`` are those of level 1; ``beside``: let a thread compile, where
        there is one; ``exact``: no function changes its level at another call than the policy says. To be called first,
        and once."""
        self.policy = policy
        self.exact = exact
        self._n_lifted = 0
        self.options = options
        self.reasons: dict[int, str] = {}
        self._given_up: set[int] = set()
        self._is_attached = False
        self._asked: set[int] = set()  # of those that were expected to be hot
        self._made: set[int] = set()
        self._made_beside: set[int] = set()
        self._beside = beside
        self._lifts: LiftQueue | None = None
        self._upper: ModuleCompiler | None = None
        recorder = self._recorder
        self._told = None if recorder is None else LiftRecorder.of(recorder.source.bus, recorder.source)
        self.loops: list[Loop] = []
        self._expected: dict[int, None] = {}  # in their order: hot before anything is counted, and not done yet
        self.table.count_calls(policy.calls, policy.period, policy.ticks, policy.polls)

    def attach(self, instance: Any) -> None:
        """Make an instance callable."""
        super().attach(instance)
        instance.lifter = self.lift
        instance.loop_lifter = self.lift_loop
        self._is_attached = True
        self._ask_for_expected()

    def expect(self, functions: Iterable[int]) -> None:
        """Functions, by index, that are hot as is known from elsewhere: they get code of level 1 before they are
        counted, in this order, by a thread beside the program, or at their first call."""
        known = range(self.first, self.first + self.table.count)
        self._expected |= {f - self.first: None for f in functions if f in known}
        if self._is_attached:
            self._ask_for_expected()

    def _ask_for_expected(self) -> None:
        """Have a thread compile some of those that are expected to be hot; where there is none, a first call does."""
        queue = self.lifts() if self._expected else None
        while queue is not None and self._expected and queue.n_pending < MOST_WAITING:
            index = next(iter(self._expected))
            if self.table.level(index) < 1 and not queue.want(index, EXPECTED_CALLS + len(self._expected), False):
                return
            del self._expected[index]
            self._asked.add(index)

    def compile_at_call(self, defined_index: int) -> int:
        """The address of a function's code: of level 1 at once, if the policy needs no call for that."""
        if not self.table.code(defined_index):
            if self.policy.calls == 0:
                self.lift(defined_index, 0, 0)
            elif defined_index in self._expected and self.lifts() is None:
                self._lift_now(defined_index)
        return super().compile_at_call(defined_index)

    def lift(self, defined_index: int, calls: int, ticks: int) -> int:
        """Ask the policy about a function of level 0, and do what it says. Returns the calls at which it is asked
        again.

        Raises:
            Stopped, DeadlineExceeded: the budget of the thread ended it; nothing has happened.
        """
        self.note_published()
        if defined_index in self._given_up:
            return NEVER
        queue = self.lifts()
        waiting = 0 if queue is None else queue.n_pending
        function, size = self.first + defined_index, self.compiler.front.body_size(defined_index)
        seen = Seen(function, calls, ticks, size, waiting, queue is not None)
        decision = self.policy.decide(seen)
        if self._told is not None:
            self._told.decided(decision.lift, function, calls, ticks, seen.waiting)
        self.reasons[defined_index] = decision.reason
        if not decision.lift:
            return decision.ask_at
        if queue is None or not queue.want(defined_index, calls, decision.first):
            self._lift_now(defined_index)
        return NEVER if defined_index in self._given_up else decision.ask_at

    def lifts(self) -> LiftQueue | None:
        """What waits for a thread; None where there is no thread, or one is not wanted, or cannot do it."""
        queue = self._lifts
        if queue is None and self._beside:
            with importing:
                from stratavm.native.lift import LiftQueue
                from stratavm.native.queue import n_helpers

            if n_helpers() == 0:
                return None
            worker = self.upper.background_worker()
            if worker is None:
                self._beside = False
                return None
            queue = self._lifts = LiftQueue(worker, self.upper.front, self.owner, self.table)
            self.keep_busy()
        return queue

    def stop_looking_ahead(self, again: bool = False) -> None:
        """End what threads do for the module: what waits for them stays at level 0."""
        super().stop_looking_ahead(again)
        queue, self._lifts = self._lifts, None
        self._beside = self._beside and again
        if queue is not None:
            queue.clear()
            self._note_lifts(queue)

    def note_published(self) -> None:
        """Learn what threads have published."""
        super().note_published()
        queue = self._lifts
        if queue is not None:
            if queue.has_reports:
                self._note_lifts(queue)
            queue.go_on()
            self._ask_for_expected()

    def _note_lifts(self, queue: LiftQueue) -> None:
        with importing:
            from stratavm.native.lift import FATES

        for defined_index, size, ns, thread, fate in queue.outcomes():
            if FATES[fate] == "published":
                self.count_bytes(size)
                self._made_beside.add(defined_index)
                self._has_lifted(defined_index, ns, size, thread)
                if CHECKS >= 2:
                    self._verify(defined_index, size, self.upper)
            else:
                if FATES[fate] == "late" and defined_index in self._asked and self.table.level(defined_index) == 0:
                    self._expected[defined_index] = None  # its first call was quicker, at level 0
                self._has_dropped(defined_index, FATES[fate], FATES[fate], thread)

    @property
    def n_lifted(self) -> int:
        """How many functions were compiled again."""
        self.note_published()
        return self._n_lifted

    def _has_lifted(self, defined_index: int, ns: int, size: int, thread: int) -> None:
        self._n_lifted += 1
        self._made.add(defined_index)
        if defined_index in self._asked or defined_index in self._expected:
            self.reasons.setdefault(defined_index, "profile")
        if self._told is not None:
            self._told.lifted(self.first + defined_index, ns, size, thread)

    def _has_dropped(self, defined_index: int, drop: str, why: str, thread: int) -> None:
        if drop != "late":
            self.reasons[defined_index] = why
        if drop == "refused":
            self._given_up.add(defined_index)
        if self._told is not None:
            self._told.dropped(self.first + defined_index, drop, thread)

    def _lift_now(self, defined_index: int) -> None:
        """Compile at level 1 and publish, while the program waits."""
        begin = time.perf_counter_ns()
        before = self.table.slot(defined_index)
        thread = threading.get_native_id()
        try:
            code = self.upper.compile(defined_index)
        except (Unsupported, ResourceLimit) as error:
            return self._has_dropped(defined_index, "refused", str(error), thread)
        if code.level == 0:
            return self._has_dropped(defined_index, "refused", "too large for level 1", thread)
        [address] = publish(self.owner, [code], [self.first + defined_index])
        if self.install(defined_index, before, address, len(code)) == address:
            return self._has_lifted(defined_index, time.perf_counter_ns() - begin, len(code), thread)
        return self._has_dropped(defined_index, "late", "late", thread)

    def lift_loop(self, defined_index: int, pc: int) -> None:
        """Make code of level 1 for who is in a loop of a function at level 0, whose poll returns to ``pc``; or note
        that there will be none.

        Raises:
            Stopped, DeadlineExceeded: the budget of the thread ended it; nothing has happened.
        """
        function = self.first + defined_index
        begin = time.perf_counter_ns()
        refused = ""
        if self.compiler.front.body_size(defined_index) > self.compiler.short_bytes:
            refused = "too large"
        else:
            with importing:  # programs without a long loop do without
                from stratavm.native.osr import OsrMaker

            try:
                with self.compiler.worker() as below, self.upper.worker() as above:
                    code, places = OsrMaker(below, above).compile(self.compiler.front, defined_index, pc)
            except (Unsupported, ResourceLimit) as error:
                refused = str(error)
        if refused:
            self.loops.append(Loop(function, pc, 0, refused))
            self.table.add_entry(pc, 0, 0, b"")
            return
        [address] = publish(self.owner, [code], [function])
        self._code_bytes += len(code)
        self.loops.append(Loop(function, pc, address, ""))
        self.table.add_entry(pc, address, code.frame_bytes, places)
        if self._told is not None:
            self._told.entered(function, time.perf_counter_ns() - begin, len(code))

    @property
    def upper(self) -> ModuleCompiler:
        """The compiler of level 1; made when the first function wants it."""
        if self._upper is None:
            self._upper = ModuleCompiler(self.compiler.front, self.options)
        return self._upper

    def verdicts(self) -> list[Verdict]:
        """What became of each function that has code, or of which anything is known."""
        self.note_published()
        return [
            self._verdict(index)
            for index in range(self.table.count)
            if self.table.code(index) or self.first + index in self.fallbacks
        ]

    def _verdict(self, index: int) -> Verdict:
        calls, ticks = self.table.tally(index)
        fallback = self.fallbacks.get(self.first + index)
        level, size = self.table.level(index), self.compiler.front.body_size(index)
        reason = fallback or self.reasons.get(index, "few")
        if level == 0 and reason in ("calls", "ticks"):
            reason = "waits"
        elif level == 1 and index not in self._made:
            reason = "kept"
        return Verdict(self.first + index, size, level, calls, ticks, reason, index in self._made_beside)


class AutoModule(JitModule):
    """A module's machine code at two levels."""

    code_type = LiftedCode
    lazy: LiftedCode

    @property
    def code_key(self) -> str:
        """What both levels depend on. Empty where each function changes its level at a certain call: code that was kept
        would do so earlier."""
        lower = self.lazy.compiler.key
        if not lower or self.lazy.exact:
            return ""
        upper = self.lazy.options
        return repr((lower, upper.allocator, upper.passes, upper.machine, upper.level))

    @property
    def compilations(self) -> int:
        """Functions that have code, and functions that were compiled again by this process."""
        return self.compiled + self.lazy.n_lifted

    def verdicts(self) -> list[Verdict]:
        """What became of each function that was compiled."""
        return self.lazy.verdicts()

    def loops(self) -> list[Loop]:
        """What became of loops that ran for long."""
        return self.lazy.loops

    def expect(self, functions: Iterable[int]) -> None:
        """Functions that are hot, as is known before they are counted."""
        self.lazy.expect(functions)


@dataclass(frozen=True, slots=True)
class Auto(Jit):
    """Level 0 first, level 1 for what runs much.

    Attributes:
        upper: options of level 1; ``options`` are those of level 0.
        policy: what decides.
        waits: compile at level 1 while the program waits, at exactly the call that the policy says, even where a thread
            could do it.
        modules: those that live.
    """

    name: str = "auto"
    upper: Options = DEFAULT
    policy: Policy = Thresholds()
    waits: bool = False
    modules: WeakSet[AutoModule] = field(default_factory=WeakSet)

    def module_of(self, *given: Any) -> JitModule:
        """A module whose functions are lifted."""
        module = AutoModule(*given)
        helped = self.threads > 1 or bool(switches.HELPERS.value())
        module.lazy.lift_by(self.policy, self.upper, helped and not self.waits, self.waits)
        self.modules.add(module)
        return module

    def close(self) -> None:
        """Threads do nothing for its modules any more; what waits for them stays at level 0."""
        for module in list(self.modules):
            module.lazy.stop_looking_ahead()
