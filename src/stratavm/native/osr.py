# strata: hot
"""Code of level 1 that begins in a loop of level 0: on-stack replacement. Says where the values are that it reads
first; the poll of that loop copies them (``runtime.codemap``).

The function is compiled at level 0 again, which gives the same code: so the form that the running code was made from is
at hand, with the place of each value at the poll. Level 1 optimises that form from the loop on (``ir.osr``).
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memcmp
from cython.cimports.stratavm.base.failures import FAIL_UNSUPPORTED, Failure, fail_unsupported, guarded, raise_failure
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.osr import OsrForm
from cython.cimports.stratavm.ir.ssa import IR_POLL, NO_VALUE
from cython.cimports.stratavm.machine.minst import LOC_SLOT, MAX_REGISTERS, NO_LOC, NO_VREG
from cython.cimports.stratavm.native.lift import LiftQueue, LoopMaker
from cython.cimports.stratavm.native.worker import BUILD, N_STAGES, OPTIMISE, Worker
from cython.cimports.stratavm.runtime.codemap import OSR_GUEST, OSR_NOWHERE, OSR_STUB, OsrPlace, find_code
from cython.cimports.stratavm.runtime.native import now_ns
from cython.cimports.stratavm.targets.x64.pseudo import P_POLL
from cython.cimports.stratavm.targets.x64.select_base import width_of

from stratavm.targets.x64.regs import NUMBER
from stratavm.targets.x64.stubs import SAVED_BY_POLLS, saved_at

SAVED_AT = cython.declare(cython.int[64])
for _name in SAVED_BY_POLLS:
    SAVED_AT[cython.cast(uint32_t, NUMBER[_name])] = saved_at(_name)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def do_make(maker: cython.p_void) -> cython.int:
    """The work of a guard."""
    return cython.cast(OsrMaker, maker).make()


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def do_put_into_batch(maker: cython.p_void) -> cython.int:
    """The work of a guard."""
    return cython.cast(OsrMaker, maker).put_into_batch()


def make_loops(queue: LiftQueue, below: Worker, front) -> None:
    """Have a queue look after loops as well, with a worker of level 0 that is nobody else's.

    Another thread may have done so meanwhile, and a thread without Python be at work with what it made: that stays.
    """
    maker: OsrMaker = OsrMaker(below, queue.worker)
    below.attach(front, 0)
    if queue.maker is None:
        queue.maker = maker


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class OsrMaker(LoopMaker):
    """Two workers of one module, one of each level, for one function after the other."""

    def __init__(self, below: Worker, above: Worker) -> None:
        if below.pipeline is not None:
            raise ValueError("the code that runs is of level 0, which optimises nothing")
        self.below = below
        self.above = above
        self.form = OsrForm()
        self.form.attach(below.ssa, above.built)

    def __dealloc__(self):
        free(self.places)

    def compile(self, front, defined: uint32_t, pc: uint64_t):
        """``Code`` for who is in a loop of a function's code of level 0, whose poll returns to ``pc``; and where the
        words are that it reads first: ``OsrPlace`` after ``OsrPlace``.

        Raises:
            Unsupported: it is no loop, or not the code that level 0 makes of the function.
            ResourceLimit: it would be too large.
        """
        failure: Failure
        self.below.attach(front, defined)
        self.above.attach(front, defined)
        self.running = find_code(pc)
        if self.running == cython.NULL:
            raise ValueError(f"no code at {pc:#x}")
        self.at = cython.cast(uint32_t, pc - self.running.start)
        with cython.nogil:
            guarded(cython.address(failure), do_make, cython.cast(cython.p_void, self))
        if failure.kind:
            raise_failure(cython.address(failure))
        code = self.above.emitter.finish()
        places = PyBytes_FromStringAndSize(
            cython.cast(cython.p_char, self.places), self.n_places * cython.sizeof(OsrPlace)
        )
        return code, places

    def make_into_batch(self, index, loop):
        """See the header of ``lift``."""
        self.below.defined = index
        self.above.defined = index
        self.above.made = NO_VALUE
        self.running = find_code(loop)
        if self.running == cython.NULL:
            return FAIL_UNSUPPORTED
        self.at = cython.cast(uint32_t, loop - self.running.start)
        return guarded(cython.address(self.failure), do_put_into_batch, cython.cast(cython.p_void, self))

    def put_into_batch(self):
        """``make``, and what was made to the batch of ``above``."""
        begin: uint64_t = now_ns()
        self.make()
        return self.above.batch.take(self.above.emitter, self.above.defined, now_ns() - begin, cython.NULL)

    def make(self):
        """``compile`` from below the GIL: into the emitter of ``above``, and ``places``."""
        poll: uint32_t
        inst: uint32_t
        self.below.first = BUILD
        self.below.behind = N_STAGES
        self.below.stages()
        if self.below.emitter.b.n != self.running.size or memcmp(
            self.below.emitter.b.data, cython.cast(cython.p_void, self.running.start), self.running.size
        ):
            return fail_unsupported(b"osr", b"level 0 makes other code than the one that runs")
        poll = self.poll_at()
        inst = self.instruction_of(poll)
        if poll == NO_VALUE or inst == NO_VREG:
            return fail_unsupported(b"osr", b"no loop polls at {:#x}", self.at)
        self.form.make(self.block_of(poll))
        self.find_places(inst)
        self.above.first = OPTIMISE
        self.above.behind = N_STAGES
        return self.above.stages()

    def poll_at(self):
        """The node of the poll that returns at ``at``; NO_VALUE where no loop does."""
        i: uint32_t
        position: uint32_t = NO_VALUE
        ssa: cython.pointer(uint32_t) = self.below.ssa.positions
        for i in range(self.below.emitter.n_returns):
            if self.below.emitter.returns[2 * i] == self.at:
                position = self.below.emitter.returns[2 * i + 1]
        for i in range(self.below.ssa.n_nodes):
            if self.below.ssa.nodes[i].op == IR_POLL and ssa[i] == position:
                return i
        return NO_VALUE

    def block_of(self, node):
        """The block of a node."""
        b: uint32_t = 0
        while self.below.ssa.blocks[b].last <= node:
            b += 1
        return b

    def instruction_of(self, node):
        """The instruction that a poll became, or NO_VREG."""
        i: uint32_t
        for i in range(self.below.machine.n_insts):
            if self.below.machine.insts[i].op == P_POLL and self.below.machine.insts[i].node == node:
                return i
        return NO_VREG

    def find_places(self, inst):
        """Where the parameters of the form are, and behind them the result pointer."""
        i: uint32_t
        node: uint32_t
        self.n_places = 0
        for i in range(self.form.n_values):
            node = self.form.values[i]
            self.put_place(self.below.selector.vregs[node], width_of(self.below.ssa.nodes[node].type), inst)
            if self.places[self.n_places - 1].base == OSR_NOWHERE:
                return fail_unsupported(b"osr", b"value {} has no place at the poll", node)
        # It is nowhere where no return follows.
        return self.put_place(self.below.selector.result_pointer, 8, inst)

    def put_place(self, vreg, bytes, inst):
        """Where a virtual register of level 0 is at an instruction."""
        loc: uint32_t = self.below.allocator.place_at(vreg, inst) if vreg != NO_VREG else NO_LOC
        vec_room(self.places, self.cap_places, self.n_places + 1)
        place: cython.pointer(OsrPlace) = cython.address(self.places[self.n_places])
        self.n_places += 1
        place.offset = 0
        place.base = OSR_NOWHERE
        place.width = 8
        if loc == NO_LOC:
            return 0
        place.width = min(bytes, self.below.machine.vwidth[vreg])
        if loc < MAX_REGISTERS:
            place.base = OSR_STUB
            place.offset = SAVED_AT[loc]
        elif loc & LOC_SLOT:
            place.base = OSR_GUEST
            place.offset = self.below.emitter.frame.slots + 8 * (loc & ~LOC_SLOT)
        return self.put_upper_half() if place.width == 16 else 0

    def put_upper_half(self):
        """The newest place has 16 bytes: that is two words."""
        vec_room(self.places, self.cap_places, self.n_places + 1)
        place: cython.pointer(OsrPlace) = cython.address(self.places[self.n_places])
        place[0] = (place - 1)[0]
        place.offset += 8
        place.width = (place - 1).width = 8
        self.n_places += 1
        return 0
