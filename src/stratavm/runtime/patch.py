"""Another version of its module for an instance that lives: what is switched, where guests may be meanwhile, and when
what was there before goes (ADR-0064). What makes versions, and which fit, is not known here."""

# strata: hot
import cython
from cython.cimports.cpython.dict import PyDict_Next
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import ATTENTION_FIBER, PENDING_TICK, Activation, FuncRec
from cython.cimports.stratavm.runtime import threads
from cython.cimports.stratavm.runtime.blueprint import Blueprint
from cython.cimports.stratavm.runtime.codemap import NO_FUNC, CodeRec, find_code
from cython.cimports.stratavm.runtime.codetable import CodeTable
from cython.cimports.stratavm.runtime.fibers import FIBER_PARKED, Fiber
from cython.cimports.stratavm.runtime.func import LoneFunc
from cython.cimports.stratavm.runtime.handles import Handles
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.native import stack_pointer
from cython.cimports.stratavm.runtime.objects import Objects
from cython.cimports.stratavm.runtime.occupancy import PARKED, is_closed, request, stands
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block

from stratavm.base.errors import Closed, InstancePoisoned, StoreBusy
from stratavm.base.text import printable

SWITCHED = 1
RUNS = 0
"""A guest runs without the GIL, or who is inside cannot be seen from here."""
STANDS = 2
"""One of the functions is on a stack."""
HELD = 3
"""The host holds a function that there would not be any more."""


@cython.auto_pickle(False)  # it holds addresses
@cython.final
@cython.cclass
class Version:
    """What an instance runs: a module as instances see it, and its code.

    It stands for an instance as its code is attached: ``take_code``, ``lifter``, ``loop_lifter``, ``oracle``.
    """

    module = cython.declare(object, visibility="readonly")  # of an engine
    blueprint: Blueprint
    table: CodeTable  # None: its functions run on the oracle
    compiler: object
    lifter = cython.declare(object, visibility="public")
    loop_lifter = cython.declare(object, visibility="public")
    oracle = cython.declare(object, visibility="public")
    owner = cython.declare(uint64_t, visibility="readonly")  # serial of the CodeOwner of its code; 0: nobody's
    undo = cython.declare(object, visibility="readonly")  # of one that was replaced: what its successor has changed

    def __init__(self, module: object):
        self.module = module
        self.blueprint = module.blueprint
        self.blueprint.attach(self)

    def take_code(self, table: CodeTable, compiler: object) -> None:
        """Its functions are those of a table."""
        self.table = table
        self.compiler = compiler
        self.owner = table.owner

    def __repr__(self) -> str:
        return f"<version {printable(self.module.name)}>"


def check_usable(instance: Instance) -> None:
    """Raise unless an instance can be given another version.

    Raises:
        TypeError: it was never initialised.
        Closed, InstancePoisoned: it is not usable any more.
    """
    if instance.store is None:
        raise TypeError("this instance was never initialised")
    if is_closed(instance.store) or instance.closed:
        raise Closed("the instance is closed: there is nothing to update")
    if instance.poisoned:
        raise InstancePoisoned("a call of the instance was abandoned midway: an update would not mend what it left")


def is_whole(instance: Instance) -> bool:
    """Whether its initialisation succeeded: else it has data segments that a module has not."""
    return instance.all_datas == cython.NULL


def has_own_records(instance: Instance) -> bool:
    """Whether the FuncRecs of its functions are its own: clones may share them."""
    return instance.common == cython.NULL


def context_of(instance: Instance) -> int:
    """Where the execution context of its store lies: whom to ask (``gil.ask``)."""
    return cython.cast(uint64_t, instance.store.exec)


def hasten(instance: Instance) -> None:
    """Have its store's guest come by at its next poll."""
    request(instance.store.exec, PENDING_TICK)


def version_before(instance: Instance) -> object:
    """What a rollback puts back; None: there is none."""
    return instance.before


def count_old(instance: Instance) -> int:
    """How many versions of before are kept since guests may still be in their code."""
    return 0 if instance.retired is None else len(instance.retired)


def forget_before(instance: Instance) -> None:
    """There is no version to go back to."""
    instance.before = None


def is_inside(instance: Instance) -> bool:
    """Whether this thread runs a guest of its store now: it would wait for itself."""
    return is_here(instance.store)


def is_elsewhere(instance: Instance) -> bool:
    """Whether another thread runs a guest of its store now."""
    return not is_quiet(instance.store) and not is_here(instance.store)


@cython.cfunc
@cython.exceptval(-1)
def holds_more(instance: Instance, n_defined: uint32_t) -> cython.bint:
    """Whether the host may call a function that a module with so many does not define. Nothing of a guest refers to
    one, and steps on the oracle that do are no more."""
    more: list = [f for f in instance.lone or () if f >= instance.n_imported_funcs + n_defined]
    if instance.table != cython.NULL:
        return len(more) > 0
    for index in more:
        del instance.lone[index]
    return False


# ---- where guests are ----


@cython.cfunc
@cython.exceptval(check=False)
def is_here(store: Store) -> cython.bint:
    """Whether this thread is the one that is inside."""
    block: cython.pointer(ThreadBlock) = current_block()
    return block != cython.NULL and store.exec.occupant == block.serial


@cython.cfunc
@cython.exceptval(check=False)
def is_quiet(store: Store) -> cython.bint:
    """Whether nobody is inside, or only guests that are suspended. ``PARKED`` alone: its pages are being copied."""
    occupant: uint64_t = store.exec.occupant
    return occupant == 0 or (occupant & PARKED and occupant != PARKED)


@cython.cfunc
@cython.exceptval(check=False)
def is_at_rest(store: Store, at_poll: cython.bint) -> cython.bint:
    """Whether no guest of a store runs now: all in it wait, or this thread is inside and here. Of another thread only
    what holds for all is known: none of them runs guests without the GIL, which this one has."""
    if at_poll or is_quiet(store) or is_here(store):
        return True
    return store.exec.occupant != PARKED and threads.loose_threads == 0


@cython.auto_pickle(False)  # the same
@cython.final
@cython.cclass
class Search:
    """What is looked for on stacks: functions, or code of any kind."""

    instance: Instance
    version: Version  # any code of it, and its table; None: functions of the instance
    functions: cython.p_char  # a byte for each function, by index: whether it is looked for
    n: uint32_t

    @cython.cfunc
    @cython.exceptval(check=False)
    def holds(self, low: uint64_t, high: uint64_t) -> cython.bint:
        """Whether the frames in a part of a stack, which a builtin has left at ``low``, have it. For code of a version
        every word is looked at; functions are found by the chain of frames, which who has a poll or a call is in."""
        at: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), low & ~cython.cast(uint64_t, 7))
        frame: uint64_t = low
        if self.version is None:
            while low <= frame and frame + 16 <= high and frame & 7 == 0:
                at = cython.cast(cython.pointer(uint64_t), frame)
                if self.is_wanted(find_code(at[1] - 1)):
                    return True
                low = frame + 16
                frame = at[0]
            return False
        while cython.cast(uint64_t, at) < high:
            if self.is_of_version(at[0]):
                return True
            at += 1
        return False

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_of_version(self, word: uint64_t) -> cython.bint:
        """Whether a word is an address in the version's code or table, or behind its last instruction."""
        first: uint64_t = cython.cast(uint64_t, self.version.table.codes)
        rec: cython.pointer(CodeRec) = find_code(word)
        if rec == cython.NULL:
            rec = find_code(word - 1)
        if rec != cython.NULL and rec.owner == self.version.owner:
            return True
        return first <= word <= first + 8 * cython.cast(uint64_t, self.version.table.count)

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_wanted(self, rec: cython.pointer(CodeRec)) -> cython.bint:
        """Whether code is of one of the functions, or has one inlined."""
        i: uint32_t
        if rec == cython.NULL or rec.func == NO_FUNC or not is_ours(self.instance, rec.owner):
            return False
        if rec.func < self.n and self.functions[rec.func]:
            return True
        for i in range(rec.n_sites):  # noqa: SIM110 - a loop in C
            if rec.sites[i].func < self.n and self.functions[rec.sites[i].func]:
                return True
        return False

    @cython.cfunc
    @cython.exceptval(check=False)
    def in_fiber(self, fiber: Fiber) -> cython.bint:
        """The same of a guest that is suspended."""
        if fiber.phase != FIBER_PARKED:
            return False
        return self.holds(fiber.state.sp, fiber.entry.act.entry_sp)

    @cython.cfunc
    @cython.exceptval(check=False)
    def anywhere(self) -> cython.bint:
        """The same of all guests of the store, which are visible."""
        store: Store = self.instance.store
        block: cython.pointer(ThreadBlock) = current_block()
        act: cython.pointer(Activation) = cython.NULL if block == cython.NULL else block.activation
        here: uint64_t = stack_pointer()
        low: uint64_t
        i: cython.Py_ssize_t
        if store.parked is not None and self.in_fiber(store.parked):
            return True
        if store.under is not None:
            for i in range(len(store.under)):
                if self.in_fiber(store.under[i]):
                    return True
        while act != cython.NULL:
            if act.exec == store.exec and act.entry_sp != 0:
                low = act.exit_sp
                if stands(store.exec, ATTENTION_FIBER) and act.fiber != cython.NULL:
                    if low != 0 and self.holds(low, act.entry_sp):
                        return True
                elif self.holds(low if here <= low <= act.entry_sp else here, act.entry_sp):
                    return True
            act = act.prev
        return False


@cython.cfunc
@cython.exceptval(check=False)
def is_ours(instance: Instance, owner: uint64_t) -> cython.bint:
    """Whether the code of an owner is that of a version of the instance."""
    i: cython.Py_ssize_t
    if cython.cast(CodeTable, instance.table).owner == owner:
        return True
    if instance.retired is not None:
        for i in range(len(instance.retired)):
            if cython.cast(Version, instance.retired[i]).owner == owner:
                return True
    return False


@cython.cfunc
@cython.exceptval(-1)
def on_oracle(instance: Instance, functions: object) -> cython.bint:
    """Whether a guest that runs without machine code is in one of these functions."""
    handles: Handles = instance.store.handles
    if handles is not None:
        for run in tuple(handles.runs):
            if not functions.isdisjoint(run.functions_of(instance)):
                return True
    return False


@cython.cfunc
@cython.exceptval(-1)
def stands_on_stack(instance: Instance, functions: object) -> cython.bint:
    """Whether one of these functions, by index, is on a stack, inlined ones included."""
    search: Search = Search.__new__(Search)
    marks: bytearray = bytearray(instance.n_imported_funcs + instance.n_defined)
    for function in functions:
        if function < len(marks):
            marks[function] = 1
    search.instance = instance
    search.functions = marks
    search.n = len(marks)
    if on_oracle(instance, functions):
        return True
    return instance.table != cython.NULL and search.anywhere()


# ---- the switch ----


def try_switch(
    instance: Instance,
    version: Version,
    expected: object,
    functions: object,
    undo: object,
    dropped: list,
    at_poll: cython.bint,
) -> int:
    """Give an instance another version, unless it cannot be done now: ``SWITCHED``, or why
    not.

    Args:
        version: of a module with the same layout.
        expected: the module that it has now.
        functions: frozenset of function indices none of which may be on a stack; None: no matter.
        undo: what the version that it had says then of putting it back (``Version.undo``).
        dropped: gets what the instance has no more; its first place is the last version's. To free that takes longer
            than all else here, so it is left to who is not waited for: nothing ends in here.
        at_poll: this thread is inside, at a poll.

    Raises:
        Closed, InstancePoisoned, StoreBusy: meanwhile; the last: it was given another one.
    """
    old: Version = Version.__new__(Version)
    if instance.retired is None:
        instance.retired = []
    if instance.binary is None:
        instance.binary = instance.blueprint.module.buffer
    if version.oracle is not None:
        version.oracle.instance = instance
    old.undo = undo
    check_usable(instance)
    if instance.module is not expected:
        raise StoreBusy("the instance was given another version by somebody else meanwhile")
    if version.blueprint.n_defined < instance.n_defined and holds_more(instance, version.blueprint.n_defined):
        return HELD
    if functions is not None:
        if not (is_quiet(instance.store) or is_here(instance.store)):
            return RUNS
        if stands_on_stack(instance, functions):
            return STANDS
    if instance.store.objects is not None:
        cython.cast(Objects, instance.store.objects).keep(version.blueprint)
    reclaim(instance, dropped, at_poll)
    # From here on nothing is allocated and no Python runs: what is found stays so. Until here others may have run: the
    # next attempt says who was first.
    if instance.module is not expected or is_closed(instance.store) or not is_at_rest(instance.store, at_poll):
        return RUNS
    if instance.table != cython.NULL:
        instance.retired.append(old)
    switch(instance, version, old)
    dropped[0] = instance.before
    instance.before = old
    return SWITCHED


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the tracer lets go of the GIL
def switch(instance: Instance, new: Version, old: Version) -> cython.void:
    """One step: the GIL is not let go of, nothing is allocated, and nothing ends that ``old`` does not hold."""
    i: uint32_t
    table: CodeTable = new.table
    blueprint: Blueprint = new.blueprint
    recs: cython.pointer(FuncRec) = instance.vm.func_recs
    old.module = instance.module
    old.blueprint = instance.blueprint
    old.compiler, old.lifter, old.loop_lifter = instance.compiler, instance.lifter, instance.loop_lifter
    old.oracle = instance.oracle
    if instance.table != cython.NULL:
        old.table = cython.cast(CodeTable, instance.table)
        old.owner = old.table.owner
    instance.module = new.module
    instance.blueprint = blueprint
    instance.n_defined = blueprint.n_defined
    instance.compiler, instance.lifter, instance.loop_lifter = new.compiler, new.lifter, new.loop_lifter
    instance.oracle = new.oracle
    instance.vm.type_ids = blueprint.type_ids
    instance.seg.recorded = blueprint.recorded
    instance.seg.places = blueprint.places  # the same; and the segments are where they were (``Instance.binary``)
    if table is None:
        return
    for i in range(blueprint.n_recorded):
        recs[i].code = table.codes[recs[i].func - instance.n_imported_funcs]
    renew_lone_funcs(instance, table)
    Py_INCREF(table)
    instance.table = cython.cast(cython.p_void, table)
    instance.vm.slots = table.codes
    if instance.calls:
        table.attached += 1
        old.table.detach()
    Py_DECREF(old.table)  # which `old` holds


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def renew_lone_funcs(instance: Instance, table: CodeTable) -> cython.void:
    """FuncRecs that objects of the host have."""
    at: cython.Py_ssize_t = 0
    value: cython.pointer(PyObject) = cython.NULL
    if instance.lone is not None:
        while PyDict_Next(instance.lone, cython.address(at), cython.NULL, cython.address(value)):
            lone: LoneFunc = cython.cast(object, value)
            lone.own_rec.code = table.codes[lone.own_rec.func - instance.n_imported_funcs]


# ---- what was there before ----


@cython.cfunc
@cython.exceptval(-1)
def reclaim(instance: Instance, dropped: list, at_poll: cython.bint) -> cython.int:
    """Give versions away that no guest is in any more, to ``dropped``.

    Nothing is done where a builtin of a call that is inside may hold something of one: only nobody, guests that are
    suspended, or one guest at a poll may be inside. What is left of a bulk operation holds addresses of segments, and
    those are of no version.
    """
    search: Search = Search.__new__(Search)
    search.instance = instance
    for version in tuple(instance.retired or ()):
        # The collector may run here, and other threads: they may have switched again, and entered since.
        if instance.retired is None or not sees_all(instance, at_poll):
            break
        search.version = version
        if version in instance.retired and (search.version.table is None or not search.anywhere()):
            dropped.append(version)
            instance.retired.remove(version)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def sees_all(instance: Instance, at_poll: cython.bint) -> cython.bint:
    """Whether all that guests may be in is seen from here."""
    store: Store = instance.store
    return not is_closed(store) and (is_quiet(store) or (at_poll and is_alone(store)))


@cython.cfunc
@cython.exceptval(check=False)
def is_alone(store: Store) -> cython.bint:
    """Whether there is one call inside, an outermost one that waits for no other."""
    act: cython.pointer(Activation) = store.exec.activation
    return act != cython.NULL and act.prev_exec == cython.NULL and not store.under
