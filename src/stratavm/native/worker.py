"""One compiling thread's arrays: SSA, machine IR, allocator, emitter, reused from function to function."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import look
from cython.cimports.stratavm.base.failures import Failure, fail_limit, guarded, raise_failure, refused
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ssa import NO_VALUE, Ssa
from cython.cimports.stratavm.machine.minst import MCode
from cython.cimports.stratavm.machine.regalloc.allocator import Allocator
from cython.cimports.stratavm.machine.schedule import Scheduler
from cython.cimports.stratavm.native.batch import Batch
from cython.cimports.stratavm.native.execmem import CodeOwner, CodeSource
from cython.cimports.stratavm.runtime.codemap import LandEntry, PosEntry, SiteEntry, TrapEntry
from cython.cimports.stratavm.runtime.native import now_ns
from cython.cimports.stratavm.targets.x64.emit import Emitter
from cython.cimports.stratavm.targets.x64.isel import Selector
from cython.cimports.stratavm.targets.x64.plan import ModulePlan

from stratavm.base.importing import begin_import, end_import
from stratavm.ir.stage import Source, Stage, source_of
from stratavm.machine.minst import snapshot
from stratavm.native import MACHINE_PASSES, MACHINE_STAGES
from stratavm.native.execmem import check_published
from stratavm.targets.x64.target import X64

OPTIMISED_NODES = cython.declare(uint32_t, 1 << 18)
"""Nodes of the SSA form up to which a function is optimised. The largest functions of programs have a tenth of that,
and the passes take up to ten times as long per node as level 0 does."""


BRIEF_BYTES = cython.declare(uint32_t, 512)
"""Bodies of so many bytes are compiled with the GIL, in a fraction of a millisecond: whoever has it next gives it up
only after five."""
FEW_VALUES = cython.declare(uint32_t, 32)
"""Parameters and results of a function type: with more, a call is a byte or two and takes as long as a page of code."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def brief_bytes(plan: ModulePlan) -> uint32_t:
    """The most bytes of a body of a module that says how long it takes to compile; 0 where bytes do not say it."""
    i: uint32_t
    for i in range(plan.n_types):
        if plan.types[i].n_params + plan.types[i].n_results > FEW_VALUES:
            return 0
    return BRIEF_BYTES


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def do_stages(worker: cython.p_void) -> cython.int:
    """The work of a guard."""
    return cython.cast(Worker, worker).stages()


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def do_one(worker: cython.p_void) -> cython.int:
    """The work of a guard: one function of a batch."""
    return cython.cast(Worker, worker).one()


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def do_point(worker: cython.p_void) -> cython.int:
    """The work of a guard: sources of the batch."""
    return cython.cast(Worker, worker).batch.point(cython.cast(Worker, worker).plan.n_imported_funcs)


@cython.auto_pickle(False)
@cython.cclass
class Worker:
    """Compiles one function at a time; never shared between threads."""

    def __init__(self, plan: ModulePlan, allocator: str, registers=None, pipeline=None, machine=()) -> None:
        """``machine``: names of ``MACHINE_PASSES`` to run."""
        unknown = set(machine) - MACHINE_PASSES.keys()
        if unknown:
            raise ValueError(f"unknown passes: {', '.join(sorted(unknown))}; there are {', '.join(MACHINE_PASSES)}")
        self.plan = plan
        self.brief = brief_bytes(plan)
        self.pipeline = pipeline
        self.ssa = Ssa() if pipeline is None else self.pipeline.out
        self.built = self.ssa if pipeline is None else self.pipeline.ssa
        self.built.sharing = pipeline is None
        self.machine = MCode(X64)
        self.selector = Selector()
        self.allocator = Allocator(X64, allocator, registers)
        self.allocator.attach(self.machine)
        self.emitter = Emitter()
        self.batch = Batch()
        self.scheduler = Scheduler()
        self.scheduler.attach(self.machine)
        self.scheduling = "schedule" in machine
        self.selector.attach(plan, self.ssa, self.machine, machine, allocator == "splitting")
        self.emitter.attach(plan, self.ssa, self.machine, "align" in machine)
        memset(self.spent, 0, cython.sizeof(self.spent))

    def __dealloc__(self):
        free(self.wanted)

    @property
    def input(self) -> Ssa:
        """The SSA to fill before ``generate``."""
        return self.ssa

    def asks_python(self, front) -> bool:
        """Whether it compiles functions of a front end's module with the help of Python."""
        self.attach(front, 0)
        for stage in [] if self.pipeline is None else self.pipeline.stages:
            if type(stage).transform is not Stage.transform:
                return True
        return type(self.source) is Source

    @property
    def stages_ns(self) -> tuple:
        """Nanoseconds spent so far in each of ``STAGES``."""
        return tuple([self.spent[i] for i in range(N_STAGES)])

    @property
    def retreats(self) -> tuple:
        """Functions that level 1's allocator left to level 0's, and that level 0's left to the naive one."""
        return self.allocator.simpler, self.allocator.fallbacks

    def compile(self, front, defined_index: uint32_t):
        """A defined function of a front end's module as ``Code``."""
        self.attach(front, defined_index)
        return self.finish(BUILD)

    def compile_to(self, front, defined_index: uint32_t, owner: CodeOwner, func: uint32_t) -> tuple:
        """Compile a defined function, whose function index is ``func``, and publish it from where it lies, without a
        copy that somebody would have to give back with the GIL; returns address and bytes."""
        source: CodeSource
        address: uint64_t = 0
        self.attach(front, defined_index)
        self.run(BUILD, N_STAGES)
        self.made = self.defined
        source.code = self.emitter.b.data
        source.size = self.emitter.b.n
        source.func = func
        source.traps = cython.cast(cython.pointer(TrapEntry), self.emitter.traps)
        source.n_traps = self.emitter.n_traps
        source.positions = cython.cast(cython.pointer(PosEntry), self.emitter.returns)
        source.n_positions = self.emitter.n_returns
        source.sites = cython.cast(cython.pointer(SiteEntry), self.ssa.sites)
        source.n_sites = self.ssa.n_sites
        source.landings = cython.cast(cython.pointer(LandEntry), self.emitter.landings)
        source.n_landings = self.emitter.n_landings
        source.level = self.emitter.plan.level
        source.held = False
        check_published(owner.publish_with_gil(cython.address(source), 1, cython.address(address)))
        return address, source.size

    def build(self, front, defined_index: uint32_t) -> None:
        """Fill ``input`` with a function, optimised if the worker has a pipeline."""
        self.attach(front, defined_index)
        self.run(BUILD, SELECT)

    def generate(self):
        """``Code`` of what is in ``input``."""
        return self.finish(SELECT)

    def compile_batch(self, front, indices):
        """Compile defined functions, without the GIL from the first to the last; returns those that are refused, and
        all where the checker wants the GIL for each. The others wait for ``publish``."""
        self.batch.clear()
        if self.allocator.checked:
            return indices
        self.attach(front, 0)
        self.n_wanted = len(indices)
        vec_room(self.wanted, self.cap_wanted, self.n_wanted)
        for i, index in enumerate(indices):
            self.wanted[i] = index
        with cython.nogil:
            self.compile_wanted()
        if self.failure.kind:
            raise_failure(cython.address(self.failure))
        return [self.wanted[i] for i in range(self.n_refused)]

    def publish(self, owner, first: uint32_t) -> list:
        """Publish what ``compile_batch`` compiled, for a module whose first defined function has the index ``first``:
        defined index, address, bytes and nanoseconds of each."""
        return self.batch.publish(owner, first)

    def compile_wanted(self):
        """The batch. Where it ends early, ``failure`` says why."""
        i: uint32_t
        self.first = BUILD
        self.behind = N_STAGES
        self.done = self.n_refused = 0
        self.failure.kind = 0
        for i in range(self.n_wanted):
            self.defined = self.wanted[i]
            if guarded(cython.address(self.failure), do_one, cython.cast(cython.p_void, self)):
                if not refused(cython.address(self.failure)):
                    return 0
                self.wanted[self.n_refused] = self.defined
                self.n_refused += 1
            self.done += 1
        self.failure.kind = 0
        return 0

    def one(self):
        """One function of it."""
        begin: uint64_t = now_ns()
        self.made = NO_VALUE
        self.stages()
        self.batch.take(self.emitter, self.defined, now_ns() - begin, self.seen)
        self.made = self.defined
        return 0

    def make(self, index, seen):
        """Compile a defined function into the batch, to be offered to whose slot has what was ``seen`` there before; 0,
        or the kind of ``failure``. Has nothing to do with Python where the front end and the stages have not."""
        self.first = BUILD
        self.behind = N_STAGES
        self.defined = index
        self.seen = seen
        return guarded(cython.address(self.failure), do_one, cython.cast(cython.p_void, self))

    def point(self):
        """Say where the functions of the batch lie, as sources to publish; 0, or the kind of failure."""
        return guarded(cython.address(self.failure), do_point, cython.cast(cython.p_void, self))

    def attach(self, front, defined):
        """Say which function is next."""
        self.made = NO_VALUE
        if front is not self.front:
            self.source = source_of(front, self.built)
            self.front = front
        self.defined = defined
        return 0

    def finish(self, first):
        """``Code`` by all stages from one on."""
        self.run(first, N_STAGES)
        self.made = self.defined
        return self.emitter.finish()

    def run(self, first, behind):
        """Go through some stages, without the GIL where that may take long; raises what they failed with. Under
        ``STRATA_CHECK`` 2, what each made is looked at when it is done."""
        number: uint32_t
        if not self.allocator.checked:
            return self.run_unchecked(first, behind)
        for number in range(first, behind):
            self.run_unchecked(number, number + 1)
            self.check(number)
        return 0

    def run_unchecked(self, first, behind):
        """The same without checks."""
        failure: Failure
        self.first = first
        self.behind = behind
        if self.apart and self.beside(self):
            return 0
        if first == BUILD and self.source.is_short(self.defined, self.brief):
            guarded(cython.address(failure), do_stages, cython.cast(cython.p_void, self))
        else:
            with cython.nogil:
                guarded(cython.address(failure), do_stages, cython.cast(cython.p_void, self))
        return raise_failure(cython.address(failure)) if failure.kind else 0

    def check(self, number):
        """Look at what a stage made."""
        if number == ALLOCATE:
            self.allocator.verify()
        elif number == BUILD or (number == OPTIMISE and self.pipeline is not None):
            begin_import()
            try:
                from stratavm.ir.verify import verify  # a tool's module
            finally:
                end_import()

            verify(self.built if number == BUILD else self.ssa)
        return 0

    def stages(self):
        """Those that ``run`` was asked for."""
        number: uint32_t
        end: uint64_t
        begin: uint64_t = now_ns()
        for number in range(self.first, self.behind):
            self.stage(number)
            end = now_ns()
            self.spent[number] += end - begin
            begin = end
        return 0

    def stage(self, number):
        """One of them."""
        if number == BUILD:
            look()  # here: the loops of a short function are too short for it
            return self.source.build(self.defined)
        if number == OPTIMISE:
            return 0 if self.pipeline is None else self.optimise()
        if number == SELECT:
            return self.selector.run()
        if number == SCHEDULE:
            return self.scheduler.run() if self.scheduling else 0
        if number == ALLOCATE:
            return self.allocator.allocate()
        self.emitter.defined = self.defined
        return self.emitter.emit()

    def optimise(self):
        """Run the pipeline, unless the function is too large for it."""
        if self.built.n_nodes > OPTIMISED_NODES:
            fail_limit(b"optimised_nodes", b"a function of {} nodes is not optimised", self.built.n_nodes)
        return self.pipeline.apply()

    def machine_ir(self, stage: str):
        """Machine IR of what is in ``input`` as plain values, as a stage of ``MACHINE_STAGES`` leaves it."""
        self.run(SELECT, SCHEDULE + MACHINE_STAGES.index(stage))
        return snapshot(self.machine)
