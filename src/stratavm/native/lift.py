# strata: hot
"""Functions and loops on their way to level 1: what waits, in the order of its worth, for a thread of ``background``.

Who sees that a function runs much asks with the GIL; a thread without it compiles what is worth most, publishes it and
says what became of it. Nobody waits for anybody: what is asked for goes through a list that is swapped.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.stratavm.base.budget import begin_quota, end_quota
from cython.cimports.stratavm.base.failures import FAIL_UNSUPPORTED
from cython.cimports.stratavm.native.background import withdraw
from cython.cimports.stratavm.native.batch import Made
from cython.cimports.stratavm.native.execmem import PUBLISH_OK, is_crowded
from cython.cimports.stratavm.native.queue import (
    CROWDED_OUT,
    LATE,
    NO_ROOM,
    PUBLISHED,
    REFUSED,
    UNWANTED,
    Press,
    Report,
    add,
    in_turn,
    new_report,
    take_all,
)
from cython.cimports.stratavm.runtime.native import add_64, gettid, load_32, load_64, load_ptr, now_ns

FATES = ("published", "late", "no room", "refused", "unwanted", "crowded out")
"""Names of what becomes of a function or a loop, by the numbers of ``outcomes``."""
SCRATCH = cython.declare(int64_t, 1 << 28)
"""Bytes that the arrays of the worker may grow by in one piece of work."""
PIECE_NS = cython.declare(uint64_t, 2_000_000)
"""A piece of work takes about so long: then what was made is published, and another job has its turn."""
BATCH = cython.declare(uint32_t, 32)
"""Functions that are published together, at most."""
MOST_BODY = cython.declare(uint32_t, 1 << 18)
"""Bytes of a body, at most: longer ones want arrays of their own size, which the worker would keep."""
MOST_WAITING = cython.declare(uint32_t, 256)
"""Functions that wait, at most, whatever a policy thinks."""
MOST_BYTES = cython.declare(uint64_t, 1 << 25)
"""Machine code that is made of one module."""
FIRST = cython.declare(uint64_t, cython.cast(uint64_t, 1) << 32)
"""Above all numbers of calls."""


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class LoopMaker:
    """Makes code for who is in a loop (``native.osr``, which few programs need)."""

    def make_into_batch(self, index, loop):
        """See the header."""
        return FAIL_UNSUPPORTED


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class LiftQueue(Press):
    """Functions of a module that are to have better code than they have."""

    def __cinit__(self, *rest: object):
        self.worker.batch.clear()
        self.waiting = cython.cast(cython.pointer(Item), malloc(MOST_WAITING * cython.sizeof(Item)))
        if self.waiting == cython.NULL:
            raise MemoryError("no memory for a queue of functions")
        self.table.watch = cython.address(self.task.job.stop)

    def __dealloc__(self):
        behind: cython.pp_void
        item: cython.pp_void
        if self.table is not None and self.table.watch == cython.address(self.task.job.stop):
            self.table.watch = cython.NULL
        withdraw(cython.address(self.task.job))
        item = cython.cast(cython.pp_void, self.wishes)
        while item != cython.NULL:
            behind = cython.cast(cython.pp_void, item[0])
            free(item)
            item = behind
        free(self.waiting)

    def want(self, defined_index: int, calls: uint32_t, first: bool, loop: uint64_t = 0, taker: object = None) -> bool:
        """Have a function compiled: after those that were called more often, but ``first`` before all that are not.
        What waits already moves to the place that it is worth. ``loop``: for who is in a loop of its code at level 0,
        whose poll returns to there (``osr.make_loops`` first); 0: the function itself.

        Returns whether somebody looks after it, whom ``look_after`` finds; if nobody does, it does not wait here.
        """
        index: uint32_t = self.table.checked(defined_index)
        wish: cython.pointer(Wish)
        if (loop and self.maker is None) or not self.look_after(taker):
            return False
        wish = cython.cast(cython.pointer(Wish), malloc(cython.sizeof(Wish)))
        if wish == cython.NULL:
            return False
        self.n_wishes += 1
        number: uint64_t = self.n_wishes
        wish.number = number
        wish.item.index = index
        wish.item.loop = loop
        wish.item.key = (FIRST if first else 0) + calls
        wish.item.seen = self.table.seen(index)
        add_64(cython.address(self.pending), 1)
        add(cython.address(self.wishes), cython.cast(cython.pp_void, wish))
        # Who was there may be gone by now. If nobody comes, whoever asks makes it: it must not wait as well.
        if self.look_after(taker):
            return True
        taken: cython.int = self.take_back(number)
        # What others asked for was out of the list meanwhile: who looked after it saw nothing, and may have ended.
        self.go_on(taker)
        return taken == 0

    def go_on(self, taker: object = None) -> bool:
        """Have somebody look after what waits, where a fork has ended who did, or he has left off; whether one does."""
        return self.n_pending == 0 or self.look_after(taker)

    @property
    def n_pending(self) -> int:
        """How many functions are asked for and not done."""
        return load_64(cython.address(self.pending))

    @property
    def has_maker(self) -> bool:
        """Whether loops can be asked for (``osr.make_loops``)."""
        return self.maker is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is at work, and nothing waits; for tests."""
        return load_32(cython.address(self.task.job.state)) == 0 and self.n_pending == 0

    def clear(self) -> None:
        """Stop, and forget what waits: it is left out as ``unwanted``."""
        self.stop()
        self.take_wishes()
        self.drop_all(UNWANTED)

    def outcomes(self) -> list:
        """What became of functions since this was asked last, in its order: defined index, bytes of code, nanoseconds,
        the thread that compiled it, a number of ``FATES``, and of a loop where its poll returns to, else 0."""
        return self.collect(True)

    # ---- without the GIL ----

    def piece(self):
        """Some functions, those that are worth most."""
        begin: uint64_t = now_ns()
        more: cython.bint = True
        self.take_wishes()
        begin_quota(cython.address(self.quota), cython.address(self.task.job.stop), SCRATCH)
        if load_32(cython.address(self.table.attached)) == 0:
            self.drop_all(UNWANTED)
        elif self.code_bytes > MOST_BYTES or is_crowded():
            self.drop_all(NO_ROOM)
        while more and self.worker.batch.n_made < BATCH and now_ns() - begin < PIECE_NS:
            more = self.turn()
        self.deliver()
        self.worker.batch.clear()
        end_quota(cython.address(self.quota))
        return self.n_waiting != 0 or load_ptr(cython.address(self.wishes)) != cython.NULL

    def turn(self):
        """One function; whether there may be another one in this piece."""
        failure: uint32_t
        item: Item
        at: uint32_t = self.best()
        if at == self.n_waiting or self.task.job.stop:
            return False
        item = self.waiting[at]
        if self.is_late(cython.address(item)):
            self.take_out(at)
            return self.leave_out_item(cython.address(item), LATE) == 0
        if item.loop:
            failure = self.make_loop(item.index, item.loop)
        elif self.worker.source.is_short(item.index, MOST_BODY):
            failure = self.make(item.index, item.seen)
        else:
            failure = FAIL_UNSUPPORTED
        if failure and self.task.job.stop:
            self.n_stopped += 1  # it stays where it is
            return False
        self.take_out(at)
        if failure:
            self.n_failed += 1
            if item.loop:
                self.table.offer_entry(item.loop, 0, 0, cython.NULL, 0)
            self.leave_out_item(cython.address(item), REFUSED)
        return True

    def is_late(self, item):
        """Whether there is what was asked for, or something else in the place of what it was to replace."""
        if item.loop:
            return self.table.entry_at(item.loop) != cython.NULL
        return self.table.seen(item.index) != item.seen

    def make_loop(self, index, loop):
        """Compile a function to be entered at a loop, and publish it, apart from what was made before; 0, or the kind
        of failure."""
        failure: uint32_t
        if not self.worker.source.is_short(index, MOST_BODY):
            return FAIL_UNSUPPORTED
        self.deliver()
        self.worker.batch.clear()
        failure = self.maker.make_into_batch(index, loop)
        if failure == 0:
            failure = self.worker.point()
        if failure == 0:
            self.publish_loop(index, loop)
        self.worker.batch.clear()
        return failure

    def publish_loop(self, index, loop):
        """Publish what was made for a loop, and let its polls find it, unless there is something to find. Where there
        is no room, the next tick may ask again."""
        made: cython.pointer(Made) = cython.address(self.worker.batch.made[0])
        status: cython.int
        if self.table.entry_at(loop) != cython.NULL:
            return self.report(index, loop, 0, 0, LATE)
        status = self.owner.publish_sources(self.worker.batch.sources, 1, self.worker.batch.addresses, False)
        if status != PUBLISH_OK:
            return self.report(index, loop, 0, 0, NO_ROOM)
        self.code_bytes += made.size
        status = self.table.offer_entry(
            loop,
            self.worker.batch.addresses[0],
            self.worker.emitter.frame_bytes,
            self.maker.places,
            self.maker.n_places,
        )
        if status <= 0:
            return self.report(index, loop, 0, 0, LATE if status == 0 else NO_ROOM)
        return self.report(index, loop, made.size, made.ns, PUBLISHED)

    def best(self):
        """Where the item is that is worth most; ``n_waiting`` where there is none."""
        i: uint32_t
        found: uint32_t = 0
        for i in range(self.n_waiting):
            if self.waiting[i].key > self.waiting[found].key:
                found = i
        return found

    def take_out(self, at):
        """An item waits no longer."""
        self.n_waiting -= 1
        self.waiting[at] = self.waiting[self.n_waiting]
        add_64(cython.address(self.pending), -1)
        return 0

    def drop_all(self, fate):
        """Nothing of what waits is made."""
        while self.n_waiting:
            self.leave_out_item(cython.address(self.waiting[self.n_waiting - 1]), fate)
            self.take_out(self.n_waiting - 1)
        return 0

    def take_wishes(self):
        """Put what was asked for since the last time into the queue."""
        behind: cython.pp_void
        item: cython.pp_void = in_turn(take_all(cython.address(self.wishes)))
        while item != cython.NULL:
            self.put(cython.address(cython.cast(cython.pointer(Wish), item).item))
            behind = cython.cast(cython.pp_void, item[0])
            free(item)
            item = behind
        return 0

    def take_back(self, number):
        """Take a wish out that nobody has seen to: how many there were, 1 or 0."""
        behind: cython.pp_void
        found: cython.int = 0
        item: cython.pp_void = in_turn(take_all(cython.address(self.wishes)))
        while item != cython.NULL:
            behind = cython.cast(cython.pp_void, item[0])
            if cython.cast(cython.pointer(Wish), item).number == number:
                add_64(cython.address(self.pending), -1)
                free(item)
                found = 1
            else:
                add(cython.address(self.wishes), item)
            item = behind
        return found

    def put(self, item):
        """One more, in the place of the one that is worth least where there are too many; or another place for one that
        waits."""
        i: uint32_t
        last: uint32_t = 0
        for i in range(self.n_waiting):
            if self.waiting[i].index == item.index and self.waiting[i].loop == item.loop:
                self.waiting[i].key = max(self.waiting[i].key, item.key)
                add_64(cython.address(self.pending), -1)
                return 0
            if self.waiting[i].key < self.waiting[last].key:
                last = i
        if self.n_waiting == MOST_WAITING:
            if self.waiting[last].key >= item.key:
                add_64(cython.address(self.pending), -1)
                return self.leave_out_item(item, CROWDED_OUT)
            self.leave_out_item(cython.address(self.waiting[last]), CROWDED_OUT)
            self.take_out(last)
        self.waiting[self.n_waiting] = item[0]
        self.n_waiting += 1
        return 0

    def leave_out_item(self, item, fate):
        """Say that what was asked for is not made."""
        return self.report(item.index, item.loop, 0, 0, fate)

    def leave_out(self, index, fate):
        """Say that a function has no code by this."""
        return self.report(index, 0, 0, 0, fate)

    def report(self, index, loop, size, ns, fate):
        """Say what became of a function or a loop."""
        report: cython.pointer(Report) = new_report(1)
        if report != cython.NULL:
            report.n = 1
            report.made[0].index = index
            report.made[0].loop = loop
            report.made[0].size = size
            report.made[0].ns = ns
            report.made[0].thread = gettid()
            report.made[0].fate = fate
            add(cython.address(self.reports), cython.cast(cython.pp_void, report))
        return 0
