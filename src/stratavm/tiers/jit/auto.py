"""What moves functions from level 0 to level 1: loaded when the first one runs much.

A call of a function that was lifted goes to its new code by the slot; who comes by the address of the old one (a
FuncRec) is shown the new one as it counts (``runtime/builtin_calls``: ``note_use``). Code of level 0 that is running
runs on, but for loops that ticks find: those go on in code of level 1 that begins there (``native.osr``, ADR-0030).
"""

from __future__ import annotations

import time
from _thread import get_native_id

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit, Unsupported, ValidationError
from stratavm.base.forms import TYPE_CHECKING, Final, dataclass, replace
from stratavm.base.importing import importing
from stratavm.native.compile import ModuleCompiler
from stratavm.native.stubtable import publish
from stratavm.tiers.decision import Seen
from stratavm.tiers.jit.lift_events import LiftRecorder
from stratavm.tiers.policy import MOST_CALLS, NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stratavm.machine.code import Code
    from stratavm.native.lift import LiftQueue
    from stratavm.tiers.jit.lazy import LazyCode

CHECKS: Final = switches.CHECK.value()
UNMADE: Final = (Unsupported, ResourceLimit, ValidationError)
"""Why there is no code of level 1; the last where the file of the module has changed: code of level 0 is right."""
MOST_EXPECTED: Final = 192
"""Functions that are expected to be hot and wait for a thread at once: some room is left for what ticks find."""
EXPECTED_CALLS: Final = 1 << 31
"""As which what is expected to be hot is queued: before all that was counted, behind what a tick finds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a function.

    Attributes:
        function: its index; ``size``: bytes of its body.
        level: of its code, -1 where it has none.
        origin: where its code came from: ``here`` (the program waited for it, at a call), ``ahead`` (a thread made it
            before it was called), ``beside`` (a thread made it while it ran), ``cache`` or ``image``; empty where it
            has none.
        calls: that were seen of it at level 0; ``ticks``: that found it there.
        reason: why it is where it is: as ``Decision.reason``, or ``waits``, ``called before`` or ``hot before`` (in the
            process that kept the code, or one before that), ``built`` (an image has all functions), ``expected`` (hot
            by the sum of earlier starts, and not asked for yet), ``profile`` (as that, or as a given profile says), or
            why it cannot be elsewhere.
        beside: whether a thread beside the program made its code of level 1.
    """

    function: int
    size: int
    level: int
    origin: str
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


def _has_helpers(code: LazyCode) -> bool:
    """Whether there may be threads that compile."""
    with importing:
        from stratavm.native.queue import n_helpers

    return bool(n_helpers(code.taker))


class Lifting:
    """What is done with a module's functions at level 0 that run much: on a thread beside the program, or while that
    waits. Its methods are given the module's code: it is part of that, and keeps nothing alive."""

    def __init__(self, code: LazyCode) -> None:
        if code.tier is None or code.tier.upper is None:
            raise ValueError("functions of this module do not change their level")
        self.policy = code.tier.policy
        self._options = code.tier.upper
        self.n_lifted = 0
        self.reasons: dict[int, str] = {}
        self._causes: dict[int, str] = {}  # why functions were asked for: what is said of them meanwhile is nothing new
        self.loops: list[Loop] = []
        self.made_beside: set[int] = set()
        self._given_up: set[int] = set()
        self._expected: dict[int, None] = {}  # hot before anything was counted, in this order; and not asked for yet
        self._asked: set[int] = set()  # of those that were expected
        self._awaited: set[int] = set()  # of those, from a thread
        self._made: set[int] = set()
        self._has_begun = False
        self._asked_loops: set[int] = set()  # of threads: where their polls return to
        self._loops_wait = False  # threads cannot compile them
        self._queue: LiftQueue | None = None
        self._upper: ModuleCompiler | None = None
        recorder = code.recorder
        self._told = None if recorder is None else LiftRecorder.of(recorder.source.bus, recorder.source)

    def lift(self, code: LazyCode, defined_index: int, calls: int, ticks: int) -> int:
        """Ask the policy about a function of level 0, and do what it says. Returns the calls at which it is asked
        again.

        Raises:
            Stopped, DeadlineExceeded: the budget of the thread ended it; nothing has happened.
        """
        code.note_published()
        if defined_index in self._given_up:
            return NEVER
        if not calls and defined_index in self._expected:  # its first call, and there is no thread
            del self._expected[defined_index]
            self._ask(defined_index)
            self._lift_now(code, defined_index)
            return NEVER
        waiting = 0 if self._queue is None else max(self._queue.n_pending - len(self._awaited), 0)
        function, size = code.first + defined_index, code.compiler.front.body_size(defined_index)
        beside = self._queue is not None or (code.beside and _has_helpers(code))
        seen = Seen(function, calls, ticks, size, waiting, beside, code.table.seen_ticks)
        decision = self.policy.decide(seen)
        queue = self.queue(code) if decision.lift else None  # it loads the passes: not for a question alone
        if decision.lift and beside and queue is None:  # a pass is written in Python
            seen = replace(seen, beside=False)
            decision = self.policy.decide(seen)
        if self._told is not None:
            self._told.decided(decision.lift, function, calls, ticks, seen.waiting)
        if decision.lift:
            self._causes[defined_index] = decision.reason
        self.reasons[defined_index] = self._causes.get(defined_index, decision.reason)
        if decision.lift and (queue is None or not queue.want(defined_index, calls, decision.first, taker=code.taker)):
            self._lift_now(code, defined_index)
        if code.remembered and (decision.lift or not code.is_young):
            self._has_begun = True
            functions, code.remembered = code.remembered, ()
            self.expect(code, functions)
        return NEVER if defined_index in self._given_up else decision.ask_at

    def expect(self, code: LazyCode, functions: Iterable[int]) -> None:
        """Functions, by index, that are hot as is known from elsewhere: they get code of level 1 before they are
        counted, in this order, by a thread beside the program from the first instance on; or at their first call. Those
        that the module does not define are left out."""
        known = range(code.first, code.first + code.table.count)
        self._expected |= {f - code.first: None for f in functions if f in known}
        if self._has_begun:
            self.begin(code)

    def begin(self, code: LazyCode) -> None:
        """There is an instance: a thread may work for it."""
        self._has_begun = True
        self._ask_for_expected(code)
        if self._expected and self._queue is None:
            code.hot = code.hot or self._expected

    def _ask_for_expected(self, code: LazyCode) -> None:
        """Have a thread compile the next ones of those that are expected to be hot."""
        queue = self.queue(code) if self._expected else None
        while queue is not None and self._expected and queue.n_pending < MOST_EXPECTED:
            index = next(iter(self._expected))
            calls = EXPECTED_CALLS + len(self._expected)
            if code.table.level(index) < 1:
                if not queue.want(index, calls, False, taker=code.taker):
                    return
                self._awaited.add(index)
            del self._expected[index]
            self._ask(index)

    def _ask(self, defined_index: int) -> None:
        """A function that is expected to be hot is asked for."""
        self._asked.add(defined_index)
        self._causes[defined_index] = "profile"

    def queue(self, code: LazyCode) -> LiftQueue | None:
        """What waits for a thread; None where there is no thread, or one is not wanted, or cannot do it."""
        queue = self._queue
        if queue is None and code.beside:
            with importing:
                from stratavm.native.lift import LiftQueue

            if not _has_helpers(code):
                return None
            upper = self.upper(code)
            worker = upper.background_worker()
            if worker is None:
                code.beside = False
                return None
            made = LiftQueue(worker, upper.front, code.owner, code.table)
            queue = self._queue
            if queue is None:  # no other thread has made one meanwhile
                queue = self._queue = made
                code.keep_busy()
        return queue

    def stop(self, code: LazyCode) -> None:
        """End what threads do: what waits for them stays at level 0."""
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.clear()
            self._note(code, queue)

    def note_published(self, code: LazyCode) -> None:
        """Learn what threads have published."""
        queue = self._queue
        if queue is not None:
            if queue.has_reports:
                self._note(code, queue)
            queue.go_on(code.taker)
            self._ask_for_expected(code)

    def _note(self, code: LazyCode, queue: LiftQueue) -> None:
        with importing:
            from stratavm.native.lift import FATES

        for defined_index, size, ns, thread, fate, pc in queue.outcomes():
            if pc:
                self._note_loop(code, defined_index, pc, ns, size, thread, FATES[fate])
                continue
            self._awaited.discard(defined_index)
            if FATES[fate] == "published":
                code.count_bytes(size)
                self.made_beside.add(defined_index)
                self._has_lifted(code, defined_index, ns, size, thread)
                if CHECKS >= 2:
                    code.verify(defined_index, size, self.upper(code))
            else:
                if FATES[fate] == "late" and defined_index in self._asked and code.table.level(defined_index) == 0:
                    self._expected[defined_index] = None  # its first call was quicker, at level 0
                self._has_dropped(code, defined_index, FATES[fate], FATES[fate], thread)

    def _has_lifted(self, code: LazyCode, defined_index: int, ns: int, size: int, thread: int) -> None:
        self.n_lifted += 1
        self._made.add(defined_index)
        if (cause := self._causes.get(defined_index)) is not None:
            self.reasons[defined_index] = cause
        if self._told is not None:
            self._told.lifted(code.first + defined_index, ns, size, thread)

    def _has_dropped(self, code: LazyCode, defined_index: int, drop: str, why: str, thread: int) -> None:
        if drop != "late":
            self._causes.pop(defined_index, None)
            self.reasons[defined_index] = why
        if drop == "refused":
            self._given_up.add(defined_index)
        if self._told is not None:
            self._told.dropped(code.first + defined_index, drop, thread)

    def _lift_now(self, code: LazyCode, defined_index: int) -> None:
        """Compile at level 1 and publish, while the program waits."""
        begin = time.perf_counter_ns()
        before = code.table.slot(defined_index)
        thread = get_native_id()
        try:
            made = self.upper(code).compile(defined_index)
        except UNMADE as error:
            return self._has_dropped(code, defined_index, "refused", str(error), thread)
        if made.level == 0:
            return self._has_dropped(code, defined_index, "refused", "too large for level 1", thread)
        [address] = publish(code.owner, [made], [code.first + defined_index])
        if code.install(defined_index, before, address, len(made)) == address:
            return self._has_lifted(code, defined_index, time.perf_counter_ns() - begin, len(made), thread)
        return self._has_dropped(code, defined_index, "late", "late", thread)

    def lift_loop(self, code: LazyCode, defined_index: int, pc: int) -> None:
        """Have code of level 1 made for who is in a loop of a function at level 0, whose poll returns to ``pc``: by a
        thread beside the program, or while that waits. The next tick asks again where there is no answer yet.

        Raises:
            Stopped, DeadlineExceeded: the budget of the thread ended it; nothing has happened.
        """
        code.note_published()
        if pc in self._asked_loops:
            return
        if self._told is not None:
            self._told.wants_loop(code.first + defined_index)
        queue = None if self.policy.polls else self.queue(code)  # polls that are counted: each run does the same
        if queue is not None and self._makes_loops(code, queue):
            self._asked_loops.add(pc)
            if queue.want(defined_index, MOST_CALLS, True, loop=pc, taker=code.taker):
                return
            self._asked_loops.discard(pc)
        self._lift_loop_now(code, defined_index, pc)

    def _lift_loop_now(self, code: LazyCode, defined_index: int, pc: int) -> None:
        """The same while the program waits, or note that there will be none."""
        begin = time.perf_counter_ns()
        thread = get_native_id()
        refused = ""
        if code.compiler.front.body_size(defined_index) > code.compiler.short_bytes:
            refused = "too large"
        else:
            try:
                made, places = self._loop_code(code, defined_index, pc)
            except UNMADE as error:
                refused = str(error)
        if refused:
            code.table.add_entry(pc, 0, 0, b"")
            return self._loop_is_left(code, defined_index, pc, "refused", refused, thread)
        [address] = publish(code.owner, [made], [code.first + defined_index])
        code.count_bytes(len(made))
        if code.table.add_entry(pc, address, made.frame_bytes, places):
            return self._has_entry(code, defined_index, pc, time.perf_counter_ns() - begin, len(made), thread)
        return self._loop_is_left(code, defined_index, pc, "late", "late", thread)

    def _loop_code(self, code: LazyCode, defined_index: int, pc: int) -> tuple[Code, bytes]:
        with importing:  # programs without a long loop do without
            from stratavm.native.osr import OsrMaker

        with code.compiler.worker() as below, self.upper(code).worker() as above:
            found: tuple[Code, bytes] = OsrMaker(below, above).compile(code.compiler.front, defined_index, pc)
        return found

    def _makes_loops(self, code: LazyCode, queue: LiftQueue) -> bool:
        """Whether a queue is one of loops as well: from the first one on, where threads can compile level 0."""
        if not queue.has_maker and not self._loops_wait:
            with importing:
                from stratavm.native.osr import make_loops

            below = code.compiler.background_worker()
            if below is None:
                self._loops_wait = True
            else:
                make_loops(queue, below, code.compiler.front)
        return bool(queue.has_maker)

    def _note_loop(
        self, code: LazyCode, defined_index: int, pc: int, ns: int, size: int, thread: int, fate: str
    ) -> None:
        """What a thread has made of a loop."""
        self._asked_loops.discard(pc)
        if fate != "published":
            return self._loop_is_left(code, defined_index, pc, fate, fate, thread)
        code.count_bytes(size)
        self._has_entry(code, defined_index, pc, ns, size, thread)
        if CHECKS >= 2:
            self._verify_loop(code, defined_index, pc, size)
        return None

    def _verify_loop(self, code: LazyCode, defined_index: int, pc: int, size: int) -> None:
        """As ``LazyCode.verify``, of code for a loop."""
        with importing:
            from ctypes import string_at

        made, _ = self._loop_code(code, defined_index, pc)
        if string_at(self._entry(code, pc), size) != made.code:
            raise AssertionError(f"loop of function {code.first + defined_index}: a thread compiled something else")

    @staticmethod
    def _entry(code: LazyCode, pc: int) -> int:
        """Where code for a loop lies."""
        return next(int(address) for at, address, _ in code.table.entries_made if at == pc)

    def _has_entry(self, code: LazyCode, defined_index: int, pc: int, ns: int, size: int, thread: int) -> None:
        """A loop has code of level 1."""
        self.loops.append(Loop(code.first + defined_index, pc, self._entry(code, pc), ""))
        if self._told is not None:
            self._told.entered(code.first + defined_index, ns, size, thread)

    def _loop_is_left(self, code: LazyCode, defined_index: int, pc: int, drop: str, why: str, thread: int) -> None:
        """There is no code for a loop by this; where it was refused, there will be none."""
        if drop == "refused":
            self.loops.append(Loop(code.first + defined_index, pc, 0, why))
        if self._told is not None:
            self._told.left_loop(code.first + defined_index, drop, thread)

    def upper(self, code: LazyCode) -> ModuleCompiler:
        """The compiler of level 1; made when the first function wants it."""
        if self._upper is None:
            self._upper = ModuleCompiler(code.compiler.front, self._options())
        return self._upper

    def verdicts(self, code: LazyCode, came: Sequence[tuple[int, int]] = (), kept: str = "") -> list[Verdict]:
        """What became of each function that has code, or of which anything is known.

        Args:
            came: where code lies that was not compiled here, from one address up to another.
            kept: where that was kept.
        """
        code.note_published()
        return [
            self._verdict(code, index, came, kept)
            for index in range(code.table.count)
            if code.table.code(index) or code.first + index in code.fallbacks
        ]

    def _verdict(self, code: LazyCode, index: int, came: Sequence[tuple[int, int]], kept: str) -> Verdict:
        calls, ticks = code.table.tally(index)
        fallback = code.fallbacks.get(code.first + index)
        level, size, at = code.table.level(index), code.compiler.front.body_size(index), code.table.code(index)
        origin = "here"
        if level < 0:
            origin = ""
        elif any(begin <= at < end for begin, end in came):
            origin = kept
        elif level == 1 and index in self.made_beside:
            origin = "beside"
        elif level == 0 and index in code.made_ahead:
            origin = "ahead"
        reason = fallback or self.reasons.get(index, "few")
        if level == 0 and index in self._causes and not fallback:
            reason = "waits"
        elif level == 0 and (index in self._expected or code.first + index in code.remembered) and not fallback:
            reason = "expected"
        elif origin == kept and kept and (level == 1 or reason == "few") and not fallback:
            reason = "built" if kept == "image" else ("called before", "hot before")[level]
        return Verdict(code.first + index, size, level, origin, calls, ticks, reason, index in self.made_beside)
