"""Code at the first call: who compiles what when, and how the result reaches every instance. No locks: races are fine.

A slot begins at a lazy stub, which calls ``compile_at_call`` through the runtime. Publishing is one compare-and-swap
(``CodeTable.publish``), since all instances have the same slots; a FuncRec gets the code when a call through it meets
the stub. Two threads that meet the same stub may both compile; the first result wins.

What a function calls that was compiled at its first call is compiled ahead, by threads without Python
(``native.queue``). What they publish is noted by whoever comes next with the GIL. What runs much may be compiled again
(``tiers.jit.auto``), which is loaded when the question comes up.
"""

from __future__ import annotations

import time
from _collections_abc import Container, Sequence
from _weakref import ref

from stratavm.base import switches
from stratavm.base.errors import ResourceLimit, StrataError, Unsupported
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.importing import importing
from stratavm.machine.code import Code
from stratavm.module.valid import ValidModule
from stratavm.native.compile import ModuleCompiler
from stratavm.native.execmem import PUBLISH_LIMITS, CodeOwner
from stratavm.native.stubtable import lazy_entries, oracle_entry, publish
from stratavm.runtime.codetable import CodeTable
from stratavm.tiers.events import CompileRecorder
from stratavm.tiers.policy import Thresholds
from stratavm.tiers.tier import Tier, TierModule

if TYPE_CHECKING:
    from stratavm.native.queue import CallQueue
    from stratavm.native.worker import Worker
    from stratavm.tiers.jit.auto import Lifting
    from stratavm.tiers.jit.taker import Taker
    from stratavm.tiers.jit.tier import Jit

KEPT_QUEUES: Final = 8
"""Modules that have a worker for threads at once: the ones that began last. Each holds arrays as large as the largest
function it met."""
MANY_FUNCTIONS: Final = 4096
"""A module with so many is a large program, which calls thousands."""
BEGIN_AT: Final = (768, 48)
"""Functions that are compiled at their calls before others are ahead, in a module that has fewer than that, or as many:
what it needs takes as long as a hundred functions, and two processors at work are slower than one each."""
BRIEF_BYTES: Final = (48 << 10, 4 << 10)
"""Bodies that are compiled in some 5 ms, by level: larger ones hold up no event loop."""
PART_KNOWN: Final = 4
"""A program is young for that part of the ticks where it is known what is hot in it."""
CHECKS: Final = switches.CHECK.value()
_busy: list[ref[LazyCode]] = []


class Runnable:
    """Gives instances what the fallback tier runs of them; made when the first asks for it."""

    def __init__(self, tier: Tier, valid: ValidModule, name: str) -> None:
        self.tier, self.valid, self.name = tier, valid, name
        self.made: TierModule | None = None

    def __call__(self, instance: Any) -> None:
        """An instance meets a function, or an operation on objects, that has no machine code."""
        if self.made is None:
            self.made = self.tier.load(self.valid, self.name)
        self.made.attach(instance)


class LazyCode:
    """A module's published code by defined index, and the instances that run it."""

    def __init__(
        self,
        valid: ValidModule,
        compiler: ModuleCompiler,
        fallback: Tier | None,
        name: str = "",
        recorder: CompileRecorder | None = None,
        ahead: bool = False,
        taker: Taker | None = None,
        runs: Tier | None = None,
    ) -> None:
        """``ahead``: let threads compile what will probably be called next, where there are some. ``taker``: who finds
        them; None: they are the process's. ``runs``: what does what machine code leaves to a tier, though no function
        may fall back on it."""
        self.valid = valid
        self.compiler = compiler
        self.fallbacks: dict[int, str] = {}
        self._code_bytes = 0
        self._brief_bytes = BRIEF_BYTES[min(compiler.options.level, 1)]
        self._ahead = ahead
        self.taker = taker
        self._n_called = 0
        self.first = len(valid.module.imported_funcs)
        module = valid.module
        self.owner = CodeOwner(module.names.module or name or "module", module.func_name, module.body_start)
        self._fallback_tier = fallback
        self._recorder = recorder
        self.table = CodeTable(len(valid.module.functions), self.owner.serial)
        if (below := fallback or runs) is not None:
            self.table.fallback = Runnable(below, valid, name)
        self._queue: CallQueue | None = None
        self.tier: Jit | None = None
        self.beside = False
        self.hot: Container[int] = ()
        self.remembered: Sequence[int] = ()
        self._lifting: Lifting | None = None
        self.made_ahead: set[int] = set()  # before anybody called it

    def lift_by(self, tier: Jit, beside: bool) -> None:
        """Have functions that run much compiled again, as a tier says; ``beside``: by a thread, where there is one. To
        be called first, and once."""
        policy = tier.policy
        self.tier, self.beside = tier, beside
        if policy.calls == 0:
            self.hot = range(self.table.count)
        self.table.count_calls(policy.calls, policy.period, policy.ticks, policy.polls)
        if isinstance(policy, Thresholds):
            self.table.be_young(*policy.young_until())
            if policy.ticks and policy.period > 1:
                self.table.be_patient()

    @property
    def recorder(self) -> CompileRecorder | None:
        """Where it is recorded what was compiled."""
        return self._recorder

    def lifting(self) -> Lifting:
        """What compiles functions again. Few programs run for so long that it is asked for."""
        if self._lifting is None:
            with importing:
                if self._lifting is None:
                    from stratavm.tiers.jit.auto import Lifting

                    self._lifting = Lifting(self)
                    self.table.be_young(0, 0)  # what it costs to ask at all is paid
        return self._lifting

    def remember(self, functions: Sequence[int]) -> None:
        """Functions, by index, that are hot as earlier processes found out: they are expected when this one is no
        longer young. A short start would load the passes of level 1 for nothing."""
        if not self.is_young:
            return self.lifting().expect(self, functions)
        self.remembered = functions
        if self._lifting is None and self.tier is not None and isinstance(self.tier.policy, Thresholds):
            self.table.be_young(*self.tier.policy.young_until(PART_KNOWN))
        return None

    @property
    def is_young(self) -> bool:
        """Whether ticks have found so little of the program that it may be about to end, though it is known what is hot
        in it: a quarter of what is asked for where it is not."""
        policy = None if self.tier is None else self.tier.policy
        return isinstance(policy, Thresholds) and policy.is_young(PART_KNOWN * self.table.seen_ticks)

    def lift(self, defined_index: int, calls: int, ticks: int) -> int:
        """See ``Lifting.lift``. What is seen of a young program decides nothing, mostly, and loads nothing then."""
        policy = None if self.tier is None else self.tier.policy
        waits = not self.remembered or self.is_young
        if waits and self._lifting is None and isinstance(policy, Thresholds):
            size = self.compiler.front.body_size(defined_index)
            if policy.is_chance(calls, ticks, self.table.seen_ticks, size):
                return policy.again(calls, policy.calls)
        return self.lifting().lift(self, defined_index, calls, ticks)

    def lift_loop(self, defined_index: int, pc: int) -> None:
        """See ``Lifting.lift_loop``."""
        self.lifting().lift_loop(self, defined_index, pc)

    @property
    def n_lifted(self) -> int:
        """How many functions were compiled again."""
        self.note_published()
        return 0 if self._lifting is None else self._lifting.n_lifted

    def attach(self, instance: Any) -> None:
        """Make an instance callable."""
        if not self.table.whole:
            self.table.fill(*lazy_entries(self.owner, self.table.count))
        instance.take_code(self.table, self.compile_at_call)
        if self.tier is not None:
            instance.lifter, instance.loop_lifter = self.lift, self.lift_loop
            if self._lifting is not None:
                self._lifting.begin(self)

    def compile_at_call(self, defined_index: int, briefly: bool = False) -> int:
        """The address of a function's code: what a lazy stub asks for. 0, and nothing done, where it is asked to be
        brief and cannot."""
        if briefly and self.takes_long(defined_index) and not self.table.code(defined_index):
            return 0
        if self.hot and defined_index in self.hot and not self.table.code(defined_index):
            self.lift(defined_index, 0, 0)
        seen = self.table.slot(defined_index)
        known: int = self.table.code(defined_index)
        if known:
            return known
        begin = time.perf_counter_ns()
        with self.compiler.worker() as worker:
            address, size = self.make(defined_index, worker)
            if self._queue is not None or self._ahead:
                self._look_ahead(defined_index, worker)
        ns = time.perf_counter_ns() - begin
        won = self.install(defined_index, seen, address, size)
        if won == address:
            self.report_compiled(defined_index, ns)
        self.note_published()
        return won

    def takes_long(self, defined_index: int) -> bool:
        """Whether compiling a function holds up an event loop."""
        return self.compiler.front.body_size(defined_index) > self._brief_bytes

    def _look_ahead(self, defined_index: int, worker: Worker) -> None:
        """Have threads compile what a function calls that a worker has just compiled."""
        queue = self._queue
        self._n_called += 1
        if queue is None:
            if self._n_called < BEGIN_AT[self.table.count >= MANY_FUNCTIONS]:
                return
            self._ahead = False  # it is tried once
            with importing:  # few programs are so small as to do without
                from stratavm.native.queue import CallQueue, n_helpers

            if n_helpers(self.taker) == 0 or (own := self.compiler.background_worker()) is None:
                return
            queue = self._queue = CallQueue(own, self.compiler.front, self.owner, self.table)
            self.keep_busy()
        queue.add_callees(worker, defined_index, self.taker)

    def keep_busy(self) -> None:
        """Threads do something for the module from now on: of those for which they do, few have what that needs."""
        me = ref(self)
        if me not in _busy:
            _busy.append(me)
        while len(_busy) > KEPT_QUEUES:
            if (code := _busy.pop(0)()) is not None:
                code.stop_looking_ahead(again=True)

    def stop_looking_ahead(self, again: bool = False) -> None:
        """End what threads do for the module, and give back what they need; ``again``: the next function that is
        compiled at its call may begin it anew."""
        queue, self._queue, self._ahead = self._queue, None, again
        if queue is not None:
            queue.stop()
            self._note(queue)
        self.beside = self.beside and again
        if self._lifting is not None:
            self._lifting.stop(self)

    def pause(self) -> None:
        """End what threads do at the moment, and learn what they have published."""
        if self._queue is not None:
            self._queue.stop()
        self.note_published()

    def note_published(self) -> None:
        """Learn what threads have published: for events and sums."""
        queue = self._queue
        if queue is not None and queue.has_reports:
            self._note(queue)
        if self._lifting is not None:
            self._lifting.note_published(self)

    def _note(self, queue: CallQueue) -> None:
        made = queue.drain()
        for defined_index, size, ns in made:
            self.note(defined_index, size, ns)
            self.made_ahead.add(defined_index)
        if CHECKS >= 2:
            for defined_index, size, _ in made:
                self.verify(defined_index, size, self.compiler)

    def note(self, defined_index: int, size: int, ns: int) -> None:
        """A function was compiled and published by somebody who could not say so."""
        self._code_bytes += size
        self.report_compiled(defined_index, ns)

    def verify(self, defined_index: int, size: int, compiler: ModuleCompiler) -> None:
        """What a thread compiled without checks is compiled again with them: the bytes are the same."""
        with importing:
            from ctypes import string_at

        code = compiler.compile(defined_index)
        if self.table.level(defined_index) != code.level:
            return  # something better is in its place
        if string_at(self.table.code(defined_index), size) != code.code:
            raise AssertionError(f"function {self.first + defined_index}: a thread compiled something else")

    def count_bytes(self, size: int) -> None:
        """So many bytes of machine code were published by somebody else."""
        self._code_bytes += size

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code published so far, stubs not counted."""
        self.note_published()
        return self._code_bytes

    def report_compiled(self, defined_index: int, ns: int) -> None:
        """Record that a function was compiled, or that it fell back."""
        if self._recorder is not None:
            if self.first + defined_index in self.fallbacks:
                self._recorder.fell_back(self.first + defined_index)
            else:
                self._recorder.compiled(self.first + defined_index, ns)

    def code(self, defined_index: int, worker: Worker) -> Code:
        """Compile a function with a worker of the compiler, or make the stub that runs it on the fallback tier.

        Raises:
            Unsupported, ResourceLimit: it cannot be compiled and there is no fallback.
            ResourceLimit: compiling takes more memory than ``Options.max_bytes``.
        """
        try:
            return self.compiler.compile(defined_index, worker)
        except (Unsupported, ResourceLimit) as error:
            return self._stub_instead(defined_index, error)

    def make(self, defined_index: int, worker: Worker) -> tuple[int, int]:
        """As ``code``, published: address and bytes. The slot has what it had.

        Raises:
            Unsupported, ResourceLimit: as ``code``; or there is no room for it (``PUBLISH_LIMITS``).
        """
        function = self.first + defined_index
        try:
            return self.compiler.publish(defined_index, worker, self.owner, function)
        except (Unsupported, ResourceLimit) as error:
            if getattr(error, "limit", "") in PUBLISH_LIMITS:
                raise
            stub = self._stub_instead(defined_index, error)
        [address] = publish(self.owner, [stub], [function])
        return address, len(stub)

    def _stub_instead(self, defined_index: int, error: StrataError) -> Code:
        """What runs a function on the fallback tier that the compiler refuses."""
        if getattr(error, "limit", "") == "compile_bytes":
            raise error  # what is too large for the compiler is too large for an interpreter written in Python
        self.fallbacks[self.first + defined_index] = str(error)
        if self._fallback_tier is None:
            raise error
        return oracle_entry(self.valid.module.func_type(self.first + defined_index), defined_index)

    def install(self, defined_index: int, seen: int, address: int, size: int) -> int:
        """Publish code, to every instance at once, if the slot has what was ``seen`` in it before the code was made;
        returns the address that won."""
        won: int = self.table.publish(defined_index, seen, address)
        if won == address:
            self._code_bytes += size
        return won

    def close(self) -> None:
        """Nothing new will be compiled; instances keep the owner of the code alive through this object."""
        self.stop_looking_ahead()
