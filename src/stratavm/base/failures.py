# cython: linetrace=False
# strata: hot
"""Errors of work that runs without the GIL: noted there, raised by whoever holds the GIL afterwards."""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memset, strcmp
from cython.cimports.stratavm.base.thread_local import get_guard, leave, noted, run_guarded, set_guard

from stratavm.base.errors import ResourceLimit, Unsupported


def guarded(failure, work, subject):
    """Do ``work`` with ``subject``; returns 0, or the kind of failure that it was left with. May be nested."""
    memset(failure, 0, cython.sizeof(Failure))
    if run_guarded(cython.cast(cython.p_void, work), subject, failure) == 2:
        failure.kind = FAIL_RAISED
    return failure.kind


def fail(failure):
    """End the work under this thread's guard, or raise where there is none."""
    note: cython.pointer(Failure) = cython.cast(cython.pointer(Failure), noted())
    if note != cython.NULL:
        note[0] = failure[0]
        leave()
    with cython.gil:
        raise_failure(failure)
    return -1


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def fail_as(
    kind: uint32_t,
    raiser: Raiser,
    label: cython.pointer(cython.const[cython.char]),
    text: cython.pointer(cython.const[cython.char]),
    a: uint64_t,
    b: uint64_t,
    c: uint64_t,
) -> cython.int:
    """``fail`` with a new note."""
    failure: Failure
    failure.kind = kind
    failure.raiser = raiser
    failure.label = label
    failure.text = text
    failure.details[0] = a
    failure.details[1] = b
    failure.details[2] = c
    return fail(cython.address(failure))


def fail_wrong(text, a=0, b=0, c=0):
    """An invariant does not hold: AssertionError."""
    return fail_as(FAIL_WRONG, cython.NULL, cython.NULL, text, a, b, c)


def fail_memory(text):
    """There is no memory: MemoryError."""
    return fail_as(FAIL_MEMORY, cython.NULL, cython.NULL, text, 0, 0, 0)


def fail_limit(label, text, a=0, b=0):
    """The work is beyond a limit: ResourceLimit."""
    return fail_as(FAIL_LIMIT, cython.NULL, label, text, a, b, 0)


def fail_unsupported(feature, text, a=0, b=0):
    """The compiler does not know something: Unsupported."""
    return fail_as(FAIL_UNSUPPORTED, cython.NULL, feature, text, a, b, 0)


def fail_unsupported_by(raiser, a=0, b=0):
    """The same for texts that need Python objects: ``raiser`` raises Unsupported."""
    return fail_as(FAIL_UNSUPPORTED, raiser, cython.NULL, cython.NULL, a, b, 0)


def fail_by(raiser, text, a=0, b=0):
    """What ``raiser`` will raise: for texts that need Python objects."""
    return fail_as(FAIL_OTHER, raiser, cython.NULL, text, a, b, 0)


def fail_raised():
    """Go on with the exception that Python code of this thread has left."""
    note: cython.pointer(Failure) = cython.cast(cython.pointer(Failure), noted())
    if note != cython.NULL:
        note.kind = FAIL_RAISED
        leave()
    return -1


def refused(failure):
    """Whether the work failed for what it is, Unsupported or beyond a limit, and not for what was left to it: memory
    that its caller may take, its deadline. An exception that says so is forgotten."""
    if failure.kind == FAIL_LIMIT:
        return strcmp(failure.label, b"compile_bytes") != 0
    if failure.kind != FAIL_RAISED:
        return failure.kind == FAIL_UNSUPPORTED
    guard: cython.p_void = suspend_guard()
    with cython.gil:
        forget_refusal(failure)
    resume_guard(guard)
    return 1


@cython.cfunc
@cython.exceptval(-1, check=False)
def forget_refusal(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """Raises any other exception again."""
    try:
        raise_failure(failure)
    except Unsupported:
        return 0
    except ResourceLimit as error:
        if error.limit == "compile_bytes":
            raise
    return 0


def raise_failure(failure):
    """Raise the exception of what happened."""
    if failure.kind == FAIL_RAISED:
        return -1
    if failure.raiser != cython.NULL:
        return failure.raiser(failure)
    details = (failure.details[0], failure.details[1], failure.details[2])
    text = failure.text.decode().format(*details)
    if failure.kind == FAIL_LIMIT:
        raise ResourceLimit(text, limit=failure.label.decode())
    if failure.kind == FAIL_UNSUPPORTED:
        raise Unsupported(text, feature=failure.label.decode())
    raise MemoryError(text) if failure.kind == FAIL_MEMORY else AssertionError(text)


def suspend_guard():
    """Before Python code runs, over which nothing may jump: this thread has no guard; returns the one it had."""
    guard: cython.p_void = get_guard()
    set_guard(cython.NULL)
    return guard


def resume_guard(guard):
    """After it."""
    set_guard(guard)
