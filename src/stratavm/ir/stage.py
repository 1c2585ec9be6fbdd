# strata: hot
"""The two ends of what is done to an SSA form without the GIL: a source fills it, a stage makes another one of it.

Both are told with the GIL which forms they work on, once, and serve one thread.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t
from cython.cimports.stratavm.base.failures import Failure, fail, guarded, refused, resume_guard, suspend_guard
from cython.cimports.stratavm.ir.ssa import Ssa


@cython.auto_pickle(False)
@cython.cclass
class Source:
    """Fills one form with functions of a front end's module. This one asks a front end that is written in Python; one
    that does without the GIL has a class of its own, and makes it in ``source``.
    """

    def __init__(self, ssa: Ssa, front: object = None) -> None:
        self.ssa = ssa
        self.front = front

    def fill(self, defined: uint32_t) -> None:
        """Fill the form with a function, by defined index, without the GIL."""
        with cython.nogil:
            self.build(defined)

    def build(self, defined):
        """The same from below the GIL."""
        guard: cython.p_void = suspend_guard()
        with cython.gil:
            ask_to_build(self, defined)
        resume_guard(guard)
        return 0

    def attempt(self, defined):
        """Build a function that may be inlined; 0 where it is refused, which says nothing about its callers."""
        failure: Failure
        self.wanted = defined
        if guarded(cython.address(failure), build_wanted, cython.cast(cython.p_void, self)) == 0:
            return 1
        if not refused(cython.address(failure)):
            fail(cython.address(failure))  # of the caller: memory that it may take, its deadline
        return 0

    def is_short(self, defined, most):
        """Whether a function's body has at most so many bytes."""
        size: int64_t
        guard: cython.p_void = suspend_guard()
        with cython.gil:
            size = ask_for_size(self, defined)
        resume_guard(guard)
        return size <= most


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def build_wanted(source: cython.p_void) -> cython.int:
    """The work of a guard."""
    return cython.cast(Source, source).build(cython.cast(Source, source).wanted)


@cython.cfunc
@cython.exceptval(-1, check=False)
def ask_to_build(source: Source, defined: uint32_t) -> cython.int:
    """Have Python build a function."""
    source.front.build(defined, source.ssa)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def ask_for_size(source: Source, defined: uint32_t) -> int64_t:
    """What Python says of a function's size."""
    return source.front.body_size(defined)


def source_of(front: object, ssa: Ssa) -> Source:
    """What fills ``ssa`` with functions of a front end's module, for one thread."""
    make = getattr(front, "source", None)
    return Source(ssa, front) if make is None else make(ssa)


@cython.auto_pickle(False)
@cython.cclass
class Stage:
    """One walk over a function: one pass, or several that share the walk.

    A pass written in Python overrides ``transform``, counts what it does in ``spent`` up to its ``budget``, and has
    ``last``, the name and the input node of the newest rewrite, and ``explained``, a list of all of them.
    """

    def __init__(self) -> None:
        self.budget = unlimited()
        self.spent = 0
        self.explains = False

    def run(self, ssa: Ssa, out: Ssa) -> None:
        """Make ``out`` of ``ssa``."""
        if self.rewrite(ssa, out) is ssa:
            out.assign(ssa)

    def rewrite(self, ssa: Ssa, out: Ssa) -> Ssa:
        """Make ``out`` of ``ssa``, without the GIL. Returns the one with the result: ``ssa`` where there was nothing to
        do; then ``out`` holds nothing of use.
        """
        unchanged: cython.bint
        before = self.ssa, self.out
        self.ssa, self.out = ssa, out
        try:
            with cython.nogil:
                unchanged = self.apply() != 0
        finally:
            self.ssa, self.out = before
        return ssa if unchanged else out

    def transform(self, ssa: Ssa, out: Ssa) -> Ssa:
        """``rewrite`` of a pass in Python: returns the form that holds the result."""
        raise NotImplementedError

    def apply(self):
        """``rewrite`` from below the GIL: UNCHANGED where ``out`` was left alone. Passes in C override it."""
        unchanged: cython.int
        guard: cython.p_void = suspend_guard()
        with cython.gil:
            unchanged = ask_to_transform(self)
        resume_guard(guard)
        return unchanged


@cython.cfunc
@cython.exceptval(-1, check=False)
def ask_to_transform(stage: Stage) -> cython.int:
    """Have Python do it."""
    return stage.transform(stage.ssa, stage.out) is stage.ssa
