# strata: hot
"""Code that is made without Python, on threads of ``background``: of functions that will probably be called next, or of
all of a module.

A ``CallQueue`` belongs to a module. Who compiled a function at its first call puts its direct callees there; a thread
compiles them in batches, publishes each batch in one go and offers the functions to the module's table. What fails, for
whatever reason, is left to the first call of it, which reports it.

Threads that have the GIL and the one that has not exchange requests and reports through two lists, each a word that is
swapped: nobody ever waits for the other.
"""

from _weakref import ref

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.posix.time import nanosleep, timespec
from cython.cimports.stratavm.base.budget import begin_quota, end_quota, look
from cython.cimports.stratavm.base.failures import FAIL_LIMIT, FAIL_RAISED, FAIL_UNSUPPORTED, fail
from cython.cimports.stratavm.ir.ops import OP_CALL, OP_RETURN_CALL
from cython.cimports.stratavm.ir.ssa import NO_VALUE, Node
from cython.cimports.stratavm.native.background import (
    LEAVING,
    OFFERED,
    Job,
    fork_count,
    lend,
    offer,
    ready,
    recall,
    submit,
    withdraw,
)
from cython.cimports.stratavm.native.batch import Made
from cython.cimports.stratavm.native.execmem import PUBLISH_OK, CodeOwner, is_crowded
from cython.cimports.stratavm.native.worker import Worker
from cython.cimports.stratavm.runtime.codetable import CodeTable
from cython.cimports.stratavm.runtime.native import (
    add_64,
    gettid,
    load_32,
    load_ptr,
    now_ns,
    or_32,
    store_64,
    swap_ptr,
)
from cython.cimports.stratavm.runtime.own_threads import POSSIBLE

from stratavm.native.background import helper_status

SCRATCH = cython.declare(int64_t, 1 << 28)
"""Bytes that the arrays of a worker may grow by in one piece of work; what wants more is left to its first call."""
PIECE_NS = cython.declare(uint64_t, 1_000_000)
"""A piece of work takes about so long: then what was made is published, and what was asked for since comes first."""
BATCH = cython.declare(uint32_t, 32)
"""Functions that are published together, at most."""
DEPTH = cython.declare(uint8_t, 3)
"""Calls from what was called to what is compiled unasked: 1 is direct callees."""
MOST_BODY = cython.declare(uint32_t, 1 << 10)
"""Bytes of a body that is compiled unasked: longer ones may never be called, and take long."""
LARGE_BATCH = cython.declare(uint32_t, 256)
"""Functions of a sweep that are published together, at most."""
PATIENCE_NS = cython.declare(uint64_t, 50_000_000)
"""How long it is waited for the last function of another thread: that may have to wait for a processor."""
MOST_BYTES = cython.declare(uint64_t, 1 << 25)
"""Machine code that is made unasked for one module."""
VISIT_NS = cython.declare(uint64_t, 100_000_000)
"""A call of a ``Work`` takes about so long: then its thread may have other things to do."""


def add(head, item):
    """Put an item, whose first word is the next one, in front of a list."""
    while True:
        item[0] = load_ptr(head)
        if swap_ptr(head, item[0], item):
            return 0


def take_all(head):
    """Empty a list: its first item."""
    first: cython.p_void
    while True:
        first = load_ptr(head)
        if first == cython.NULL or swap_ptr(head, first, cython.NULL):
            return cython.cast(cython.pp_void, first)


def in_turn(item):
    """A list that was taken, the other way round: oldest first."""
    before: cython.pp_void = cython.NULL
    behind: cython.pp_void
    while item != cython.NULL:
        behind = cython.cast(cython.pp_void, item[0])
        item[0] = before
        before = item
        item = behind
    return before


def new_report(room):
    """An empty one, with room for so many functions; NULL where there is no memory."""
    report: cython.pointer(Report) = cython.cast(
        cython.pointer(Report), malloc(cython.sizeof(Report) + room * cython.sizeof(Delivery))
    )
    if report != cython.NULL:
        report.n = 0
        report.made = cython.cast(cython.pointer(Delivery), report + 1)
    return report


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run_piece(job: cython.pointer(Job)) -> cython.bint:
    """The work of a job."""
    return cython.cast(Press, cython.cast(cython.pointer(Task), job).press).piece()


def n_helpers(taker: object = None) -> int:
    """How many threads may compile in the background; where ``taker`` finds one of an embedder's, one at least."""
    ready()
    return max(helper_status()["limit"], 1 if POSSIBLE and taker is not None else 0)


@cython.auto_pickle(False)
@cython.final
@cython.cclass
class Turn:
    """What waits in a press, as the ``Work`` of an executor: it knows the press as long as that is there."""

    press: object
    forks: uint32_t
    is_taken: cython.bint
    __weakref__: object

    def __init__(self, press: Press) -> None:
        self.press = ref(press)
        self.forks = fork_count()

    def __call__(self) -> bool:
        """See ``Work``."""
        press: Press = self.press()
        self.is_taken = True
        return press is not None and press.visit()

    def begin(self) -> bool:
        """See ``Work``."""
        press: Press = self.press()
        if press is None or not press.look_after(None):
            return False
        self.is_taken = True
        return True

    @property
    def waits(self) -> bool:
        """Whether nobody in this process has called it yet."""
        return not self.is_taken and self.forks == fork_count()


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Press:
    """A worker, and where what it makes is published; the worker is nobody else's.

    The collector does not see what it holds, and clears none of it while a thread is at work: nothing of it leads back
    to whoever has the press. It ends the work when it goes.
    """

    def __cinit__(self, worker: Worker, front: object, owner: CodeOwner, table: CodeTable, *rest: object):
        ready()
        worker.attach(front, 0)
        self.worker = worker
        self.owner = owner
        self.table = table
        self.task.job.run = run_piece
        self.task.press = cython.cast(cython.p_void, self)

    def __dealloc__(self):
        item: cython.pp_void
        behind: cython.pp_void
        withdraw(cython.address(self.task.job))
        item = cython.cast(cython.pp_void, self.reports)
        while item != cython.NULL:
            behind = cython.cast(cython.pp_void, item[0])
            free(item)
            item = behind

    def look_after(self, taker):
        """Have somebody do what waits: whom ``taker`` finds, the ``submit`` of a ``CompileExecutor``; or, where it is
        None, threads of the process. False: nobody will."""
        state: uint32_t
        taken: cython.bint = False
        if taker is None:
            return submit(cython.address(self.task.job))
        state = offer(cython.address(self.task.job))
        if state != OFFERED:
            return state != LEAVING
        work: object = None if self.work is None else self.work()
        if work is not None and work.waits:
            return True
        work = Turn(self)
        self.work = ref(work)
        try:
            taken = bool(taker(work))
        finally:
            if not taken:
                self.work = None
                recall(cython.address(self.task.job))
        return taken

    def visit(self) -> bool:
        """Do what waits on this thread, unless another one does; whether something is left after a while."""
        is_left: cython.bint
        with cython.nogil:
            is_left = lend(cython.address(self.task.job), VISIT_NS)
        return is_left

    def stop(self) -> None:
        """End the work, within a millisecond; what is asked for afterwards begins it again."""
        with cython.nogil:
            withdraw(cython.address(self.task.job))

    def task_state(self) -> int:
        """A state of ``background``'s; for tests."""
        return load_32(cython.address(self.task.job.state))

    @property
    def has_reports(self) -> bool:
        """Whether ``drain`` has something to tell."""
        return self.reports != cython.NULL

    @property
    def stages_ns(self) -> tuple:
        """Nanoseconds that its worker spent in each stage."""
        return self.worker.stages_ns

    def drain(self) -> list:
        """What was published since this was asked last, in the order in which it was made: defined index, bytes and
        nanoseconds of each."""
        return self.collect(False)

    def collect(self, whole):
        """What nobody has been told yet; ``whole``: of functions that were left out as well, and by whom and why."""
        found: list = []
        i: uint32_t
        made: cython.pointer(Delivery)
        report: cython.pointer(Report)
        behind: cython.pp_void
        item: cython.pp_void = in_turn(take_all(cython.address(self.reports)))
        while item != cython.NULL:
            report = cython.cast(cython.pointer(Report), item)
            for i in range(report.n):
                made = cython.address(report.made[i])
                if whole:
                    found.append((made.index, made.size, made.ns, made.thread, made.fate, made.loop))
                elif made.fate == PUBLISHED:
                    found.append((made.index, made.size, made.ns))
            behind = cython.cast(cython.pp_void, item[0])
            free(item)
            item = behind
        return found

    def piece(self):
        """What a thread does in one go, without Python; whether there is more to do."""
        return 0

    def make(self, index, seen):
        """Compile a function into the batch, whose slot had what was ``seen``: 0, or the kind of failure."""
        return self.worker.make(index, seen)

    def deliver(self):
        """Publish the batch, and offer it to the table; what is too late is left out. No error: what is not published
        is compiled when it is called."""
        i: uint32_t
        report: cython.pointer(Report) = cython.NULL
        made: uint32_t = self.worker.batch.n_made
        self.worker.batch.drop_late(self.table)
        for i in range(self.worker.batch.n_made, made):
            self.leave_out(self.worker.batch.made[i].index, LATE)
        if self.worker.batch.n_made == 0:
            return 0
        if self.worker.point() == 0:
            report = new_report(self.worker.batch.n_made)
        if report == cython.NULL or self.publish(report):
            free(report)
            for i in range(self.worker.batch.n_made):
                self.leave_out(self.worker.batch.made[i].index, NO_ROOM)
            return 0
        add(cython.address(self.reports), cython.cast(cython.pp_void, report))
        self.worker.batch.clear()
        return 0

    def publish(self, report):
        """Publish what the worker has pointed at, and write down what became of it; or why not."""
        i: uint32_t
        made: cython.pointer(Made)
        note: cython.pointer(Delivery)
        thread: cython.int = gettid()
        batch: cython.pointer(Made) = self.worker.batch.made
        status: cython.int = self.owner.publish_sources(
            self.worker.batch.sources, self.worker.batch.n_made, self.worker.batch.addresses, False
        )
        if status != PUBLISH_OK:
            return status
        for i in range(self.worker.batch.n_made):
            made = cython.address(batch[i])
            note = cython.address(report.made[i])
            note.index = made.index
            note.size = made.size
            note.ns = made.ns
            note.loop = 0
            note.thread = thread
            note.fate = LATE
            if self.table.offer(made.index, made.seen, cython.cast(cython.p_void, self.worker.batch.addresses[i])):
                note.fate = PUBLISHED
                self.code_bytes += made.size
                self.n_made += 1
        report.n = self.worker.batch.n_made
        return PUBLISH_OK

    def leave_out(self, index, fate):
        """A function has no code by this: for those who say so."""
        return 0


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class CallQueue(Press):
    """Functions of a module that compiled ones call directly."""

    def __cinit__(self, *rest: object):
        count: cython.size_t = self.table.count
        self.waiting = cython.cast(cython.pointer(uint32_t), malloc((count + 1) * cython.sizeof(uint32_t)))
        self.level = cython.cast(cython.pointer(uint8_t), calloc(count + 1, 1))
        if self.waiting == cython.NULL or self.level == cython.NULL:
            raise MemoryError("no memory for a queue of functions")

    def __dealloc__(self):
        item: cython.pp_void
        behind: cython.pp_void
        withdraw(cython.address(self.task.job))
        item = cython.cast(cython.pp_void, self.requests)
        while item != cython.NULL:
            behind = cython.cast(cython.pp_void, item[0])
            free(item)
            item = behind
        free(self.waiting)
        free(self.level)

    def add_callees(self, worker: Worker, defined_index: uint32_t, taker: object = None) -> bool:
        """Put the direct callees of a function that ``worker`` has just compiled into the queue; whether somebody looks
        after it, whom ``look_after`` finds."""
        request: cython.pointer(Request)
        indices: cython.pointer(uint32_t)
        n: uint32_t
        if worker.made != defined_index:
            return False  # another worker compiled it in the end
        n = callees(worker, self.table, cython.NULL)
        if n == 0:
            return False
        request = cython.cast(cython.pointer(Request), malloc(cython.sizeof(Request) + n * cython.sizeof(uint32_t)))
        if request == cython.NULL:
            return False
        indices = cython.cast(cython.pointer(uint32_t), request + 1)
        request.n = callees(worker, self.table, indices)
        add(cython.address(self.requests), cython.cast(cython.pp_void, request))
        return self.look_after(taker)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked for that is not done; for tests."""
        # The job first: between two pieces, and in one, it is not idle; and what has ended changes nothing any more.
        if load_32(cython.address(self.task.job.state)) != 0:
            return False
        return load_ptr(cython.address(self.requests)) == cython.NULL and self.n_waiting == 0

    def piece(self):
        """A batch: what was asked for last, or what that calls."""
        index: uint32_t
        failure: uint32_t
        seen: cython.p_void
        begin: uint64_t = now_ns()
        self.take_requests()
        self.worker.batch.clear()
        begin_quota(cython.address(self.quota), cython.address(self.task.job.stop), SCRATCH)
        while self.n_waiting and self.worker.batch.n_made < BATCH and now_ns() - begin < PIECE_NS:
            if self.code_bytes > MOST_BYTES or is_crowded():
                self.n_waiting = 0
                break
            self.n_waiting -= 1
            index = self.waiting[self.n_waiting]
            seen = self.table.seen(index)  # first: what comes between this and the next line is late
            if not self.table.lacks(index) or not self.worker.source.is_short(index, MOST_BODY):
                continue
            failure = self.make(index, seen)
            if failure and self.task.job.stop:
                self.waiting[self.n_waiting] = index
                self.n_waiting += 1
                self.n_stopped += 1
                break
            if failure:
                self.n_failed += 1
            elif self.level[index] < DEPTH:
                self.put_callees(self.level[index] + 1)
        self.deliver()
        end_quota(cython.address(self.quota))
        return self.n_waiting != 0 or load_ptr(cython.address(self.requests)) != cython.NULL

    def take_requests(self):
        """Put what was asked for since the last time on top of what waits, the newest last; of one request, the
        function that is called first."""
        i: uint32_t
        indices: cython.pointer(uint32_t)
        request: cython.pointer(Request)
        behind: cython.pp_void
        item: cython.pp_void = in_turn(take_all(cython.address(self.requests)))
        while item != cython.NULL:
            request = cython.cast(cython.pointer(Request), item)
            indices = cython.cast(cython.pointer(uint32_t), request + 1)
            i = request.n
            while i != 0:
                i -= 1
                self.put(indices[i], 1)
            behind = cython.cast(cython.pp_void, item[0])
            free(item)
            item = behind
        return 0

    def put(self, index, level):
        """One function, unless it was put there before; then it may be nearer to what was called than it seemed."""
        if self.level[index] == 0:
            self.waiting[self.n_waiting] = index
            self.n_waiting += 1
        elif self.level[index] <= level:
            return 0
        self.level[index] = level
        return 0

    def put_callees(self, level):
        """Those of the function that was made last."""
        i: uint32_t = self.worker.ssa.n_nodes
        index: uint32_t
        while i != 0:
            i -= 1
            index = callee(self.worker, i)
            if index < self.table.count and self.table.lacks(index):
                self.put(index, level)
        return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def callee(worker: Worker, i: uint32_t) -> uint32_t:
    """The defined function that a node calls directly; some other number where it calls none."""
    node: cython.pointer(Node) = cython.address(worker.ssa.nodes[i])
    if node.op != OP_CALL and node.op != OP_RETURN_CALL:
        return NO_VALUE
    return worker.ssa.args[node.b + node.c] - worker.plan.n_imported_funcs


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def callees(worker: Worker, table: CodeTable, found: cython.pointer(uint32_t)) -> uint32_t:
    """Defined functions that the one that was made last calls directly and that a thread would compile, in the order of
    the calls; how many, one that is called twice counts twice. NULL only counts. What is too long is left out: to wake
    a thread for nothing takes as long as to compile a small function."""
    i: uint32_t
    index: uint32_t
    n: uint32_t = 0
    for i in range(worker.ssa.n_nodes):
        index = callee(worker, i)
        if index < table.count and table.lacks(index) and worker.source.is_short(index, MOST_BODY):
            if found != cython.NULL:
                found[n] = index
            n += 1
    return n


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Pile:
    """Functions that several sweeps compile; bodies of more than ``most`` bytes are left."""

    def __cinit__(self, indices: list, most: int):
        i: uint32_t
        self.n = len(indices)
        self.most = min(most, 0xFFFFFFFF)
        self.indices = cython.cast(cython.pointer(uint32_t), malloc((self.n + 1) * cython.sizeof(uint32_t)))
        if self.indices == cython.NULL:
            raise MemoryError("no memory for a list of functions")
        for i in range(self.n):
            self.indices[i] = indices[i]

    def __dealloc__(self):
        free(self.indices)

    def take(self):
        """The next one; NO_VALUE: there is none."""
        at: uint64_t = add_64(cython.address(self.taken), 1) - 1
        return self.indices[at] if at < self.n else NO_VALUE

    def end(self):
        """Nobody takes any more."""
        store_64(cython.address(self.taken), self.n)
        return 0


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Sweep(Press):
    """What one thread compiles of a pile."""

    def __cinit__(self, worker: Worker, front: object, owner: CodeOwner, table: CodeTable, pile: Pile):
        self.pile = pile
        self.pending = NO_VALUE
        worker.batch.clear()
        self.left = cython.cast(cython.pointer(uint32_t), malloc((pile.n + 1) * cython.sizeof(uint32_t)))
        if self.left == cython.NULL:
            raise MemoryError("no memory for a list of functions")

    def __dealloc__(self):
        withdraw(cython.address(self.task.job))
        free(self.left)

    def begin(self) -> bool:
        """Let a thread do it; false: there is none."""
        return submit(cython.address(self.task.job))

    def run(self, others: list) -> None:
        """Do it on this thread, without the GIL from here to the end, and wait for those that had begun; what they did
        not finish is done here.

        Raises what the budget of this thread says, or what ended one of them: then none is at work any more.
        """
        other: Sweep
        try:
            with cython.nogil:
                self.sweep()
            for other in others:
                with cython.nogil:
                    self.wait_for(other)
        finally:
            self.pile.end()
            for other in others:
                other.stop()

    @property
    def refused(self) -> list:
        """Indices of functions that are left."""
        i: uint32_t
        return [self.left[i] for i in range(self.n_left)]

    def piece(self):
        """Some functions."""
        begin: uint64_t = now_ns()
        more: cython.bint = True
        begin_quota(cython.address(self.quota), cython.address(self.task.job.stop), SCRATCH)
        while more and self.task.job.stop == 0 and now_ns() - begin < PIECE_NS:
            more = self.turn()
        end_quota(cython.address(self.quota))
        if self.failure and self.task.job.stop:
            self.failure = 0  # it was stopped in the middle of a function, and goes on with that
            return True
        return more

    def turn(self):
        """One function; whether there is more to do. It is kept in mind where the work was stopped in the middle."""
        if self.pending == NO_VALUE:
            self.pending = self.pile.take()
        if self.pending == NO_VALUE:
            self.deliver()
            or_32(cython.address(self.finished), 1)
            return False
        if not self.worker.source.is_short(self.pending, self.pile.most):
            return self.leave() == 0
        self.failure = self.make(self.pending, self.table.seen(self.pending))
        if self.failure == FAIL_LIMIT or self.failure == FAIL_UNSUPPORTED:
            return self.leave() == 0
        if self.failure:
            return False
        self.pending = NO_VALUE
        if self.worker.batch.n_made == LARGE_BATCH:
            self.deliver()
        return True

    def leave(self):
        """The function at hand is for somebody else."""
        self.left[self.n_left] = self.pending
        self.n_left += 1
        self.pending = NO_VALUE
        return 0

    def sweep(self):
        """All that is there to take, on a thread with a budget of its own."""
        while self.turn():
            pass
        return self.end_well()

    def wait_for(self, other):
        """Until another one has done its share; what it has begun and not finished in time is done here."""
        pause: timespec
        end: uint64_t = now_ns() + PATIENCE_NS
        pause.tv_sec = 0
        pause.tv_nsec = 50_000
        while load_32(cython.address(other.finished)) == 0 and other.failure == 0 and now_ns() < end:
            look()
            nanosleep(cython.address(pause), cython.NULL)
        withdraw(cython.address(other.task.job))
        while other.failure == 0 and other.turn():
            pass
        return other.end_well()

    def end_well(self):
        """Raise what ended it early, where something did."""
        if self.finished:
            return 0
        self.pile.end()
        if self.failure == FAIL_RAISED:
            return -1
        return fail(cython.address(self.worker.failure))
