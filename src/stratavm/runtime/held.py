# strata: hot
"""Which exnrefs, and references to guests' objects, the guests of a store hold in the midst of a call; what none holds
is freed. What an exception or an object is is not known here, and both are called exnrefs.

They are in tables and globals, in frames of machine code, of which every word is looked at, and in those of guests that
run without. Nothing else has any: an exnref never crosses to Python, and an object that does, or that may lie among
references to any object of Python, has an ordinary handle from then on.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    ATTENTION_CROWDED,
    ATTENTION_FIBER,
    ATTENTION_THROWN,
    Activation,
    ExecContext,
)
from cython.cimports.stratavm.runtime.handles import Handles, Marks, mark_held
from cython.cimports.stratavm.runtime.native import stack_pointer
from cython.cimports.stratavm.runtime.occupancy import mark, stands
from cython.cimports.stratavm.runtime.residents import HANDLE_BYTES, Residence
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block

from stratavm.base import switches

FEW = cython.declare(cython.Py_ssize_t, 1024)  # exnrefs more than were held before: worth a look at who holds them
CHECKED = cython.declare(cython.bint, switches.CHECK.value() >= 2)  # as in ``handles``
WORDS_EACH = cython.declare(cython.Py_ssize_t, 8)  # so many words may be looked at for each of them


def free_unheld(store, held, step):
    """Free the exnrefs that no guest holds, ``held`` aside. Their exceptions go at the next throw. In a ``step`` of a
    guest without machine code its frames hold all that it has.

    Nothing is freed where a guest ran meanwhile, or waits in the midst of a step: the next time is soon.
    """
    handles: Handles = store.all_handles()
    entries: uint32_t = store.entries
    for run in tuple(handles.runs):
        if not run.waits and not (step and run is handles.runs[len(handles.runs) - 1]):
            handles.exceptions_at = len(handles.exceptions) + FEW
            return 0
        held.update(run.held_handles())
    marks: Marks = Marks(len(handles.things))
    if not store.mark_of_objects(step, marks):
        handles.exceptions_at = len(handles.exceptions) + FEW
        return 0
    mark_held(marks, handles.exception_roots)
    marks.add(held)
    places: list = [] if store.under is None else [place for fiber in store.under for place in fiber.frames()]
    seen: cython.Py_ssize_t = len(held) + mark_stacks(store, places, marks)
    gone: list = handles.unheld_exceptions(marks)
    things: list = handles.named(gone)
    if store.spent is None:
        store.spent = []
    # All that may run Python, or the collector; from here on nothing does.
    if store.entries != entries or not handles.exceptions.issuperset(gone):
        return 0
    store.spent.extend(things)
    store.quota.give_back(HANDLE_BYTES * handles.forget_exceptions(gone, things))
    kept: cython.Py_ssize_t = len(handles.exceptions)
    handles.exceptions_at = 0 if CHECKED else kept + max(FEW, kept, seen // WORDS_EACH, worth_of_heap(store))
    mark(store.exec, ATTENTION_CROWDED, handles.crowded())
    mark(store.exec, ATTENTION_THROWN, True)
    return 0


@cython.cfunc
def worth_of_heap(store: Residence) -> cython.Py_ssize_t:
    """How many more handles are worth a look through all that lives in the heap, but no more than half of what there
    may be."""
    if store.objects is None:
        return 0
    return min(store.objects.worth_in_handles, store.template.limits.handles // 2)


@cython.cclass
class Unfinished:
    """Something that makes references which lie nowhere yet, from ``begin`` to ``end``: among the guests that run
    without machine code it is one that waits for nothing. ``rooted``: what it begins with lies in frames."""

    handles: Handles
    rooted: cython.bint

    def __cinit__(self, handles: Handles, rooted: cython.bint = False):
        self.handles = handles
        self.rooted = rooted

    @property
    def waits(self) -> bool:
        """What it has is not known."""
        return False

    def held_handles(self) -> object:
        """What it has that lies nowhere else; None: that is not known."""
        return () if self.rooted else None

    def functions_of(self, instance: object) -> set:
        """It is in no function."""
        return set()

    def begin(self) -> object:
        """From here on; whoever calls it calls ``end`` in any case (``try``, ``finally``)."""
        self.handles.runs.append(self)
        return self

    def end(self) -> None:
        """It lies somewhere, or has failed."""
        self.handles.runs.remove(self)


@cython.cfunc
def mark_stacks(store: Residence, places: list, marks: Marks) -> cython.Py_ssize_t:
    """Mark what lies on stacks; how much was looked at."""
    seen: cython.Py_ssize_t = 0
    at: cython.Py_ssize_t
    for at in range(0, len(places), 2):
        seen += mark_words(places[at], places[at + 1], marks)
    return seen + mark_frames(store.exec, marks)


@cython.cfunc
@cython.exceptval(check=False)
def mark_frames(context: cython.pointer(ExecContext), marks: Marks) -> cython.Py_ssize_t:
    """The frames of the guests that this thread is in; a call of machine code from Python says little of itself before
    it ends, so that only what is read here may be."""
    block: cython.pointer(ThreadBlock) = current_block()
    act: cython.pointer(Activation) = cython.NULL if block == cython.NULL else block.activation
    here: uint64_t = stack_pointer()
    seen: cython.Py_ssize_t = 0
    low: uint64_t
    while act != cython.NULL:
        if act.exec == context and act.entry_sp != 0:
            low = act.exit_sp
            if stands(context, ATTENTION_FIBER) and act.fiber != cython.NULL:
                if low != 0:  # 0: it has not called anything yet
                    seen += mark_words(low, act.entry_sp, marks)
            else:
                if not here <= low <= act.entry_sp:  # it has not called anything
                    low = here
                seen += mark_words(low, act.entry_sp, marks)
        act = act.prev
    return seen


@cython.cfunc
@cython.exceptval(check=False)
def mark_words(low: uint64_t, high: uint64_t, marks: Marks) -> cython.Py_ssize_t:
    """The words of a part of a stack."""
    at: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), low & ~cython.cast(uint64_t, 7))
    end: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), high)
    if at >= end:
        return 0
    marks.add_words(at, end - at)
    return end - at
