# cython: linetrace=False
# strata: hot
"""When a running guest has the GIL: what happens to it at a tick, and at the calls that need it.

Owns the policy, which numbers of the thread block decide; who asks for ticks is the ticker's business. The idea page on
traps and polls has the policy as a table.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.runtime import threads
from cython.cimports.stratavm.runtime.native import now_ns, thread_cpu_ns
from cython.cimports.stratavm.runtime.python import PyEval_RestoreThread, PyEval_SaveThread
from cython.cimports.stratavm.runtime.threads import ThreadBlock, tend, thread_block
from cython.cimports.stratavm.runtime.ticker import period_ns, update_period

from stratavm.runtime.breath import breathe

MAX_SIGNAL_PERIOD_NS = cython.declare(uint64_t, 100_000_000)
DEAR_NS = cython.declare(uint64_t, 1_000_000)  # to wait for the GIL behind a turn
MOST_LEFT_OUT = cython.declare(uint32_t, 16)
asked = cython.declare(uint32_t, 0)
questions: dict = {}
"""What to call when a guest of a store is at a poll, by the address of its execution context."""
SIGNAL_SHARE = cython.declare(uint64_t, 20)  # at most one part in so many of its time a guest waits to look for signals


def regain_gil(block):
    """Take the GIL back if a tick has released it."""
    state: cython.p_void = block.tstate
    if state != cython.NULL:
        block.tstate = cython.NULL
        begin: uint64_t = now_ns()
        PyEval_RestoreThread(state)
        threads.loose_threads -= 1
        block.waited_ns = now_ns() - begin
        if block.turn_ns:
            end_turn(block, begin)


def let_python_run(block):
    """With the GIL: do what the interpreter does between two instructions of Python code. Raises what that raises.

    Where Python has no room for one more call, it is left for the next tick.
    """
    begin: uint64_t = now_ns()
    tend(block)
    update_period()
    block.checked_ns = begin
    # Others may have had their turn in host functions, which is not seen here: what is known is forgotten slowly.
    block.waited_ns -= block.waited_ns >> 3
    try:
        breathe()
    except RecursionError as error:
        if error.__traceback__.tb_next is not None:  # of what ran, not of the call
            raise
    block.waited_ns = max(block.waited_ns, now_ns() - begin)
    return 0


def signals_are_due(block):
    """Without the GIL: whether to take it back to look for signals, which only the main thread handles."""
    pause: uint64_t = min(SIGNAL_SHARE * block.waited_ns, MAX_SIGNAL_PERIOD_NS)
    return block.is_main and now_ns() - block.checked_ns >= pause


def release_if_it_pays(block):
    """Let go of the GIL, unless the guest would soon need it back and wait longer for it than it ran without it.

    A tick that came while the thread waited says nothing about the guest: it counts after half a period of work.
    """
    cpu_ns: uint64_t = thread_cpu_ns()
    calls: uint64_t = block.host_calls - block.ticked_host_calls
    if cpu_ns - block.ticked_cpu_ns < period_ns // 2:
        return
    block.worked_ticks += 1
    block.ticked_cpu_ns = cpu_ns
    block.ticked_host_calls = block.host_calls
    if block.waited_ns * calls <= period_ns:
        let_go_of_gil(block)


def give_turn(block):
    """The guest has run for a moment, and threads of other guests may wait for the GIL: let go of it, unless that was
    dear of late."""
    if block.turns_left_out:
        block.turns_left_out -= 1
    elif block.tstate == cython.NULL:
        block.turns += 1
        block.turn_ns = now_ns()
        let_go_of_gil(block)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def end_turn(block: cython.pointer(ThreadBlock), wanted_ns: uint64_t) -> cython.void:
    """The thread wanted the GIL back then, and has it: learn whether the turn was dear. Where the guest ran on for two
    periods a tick would have let go of the GIL as well."""
    if block.waited_ns <= DEAR_NS or wanted_ns - block.turn_ns >= 2 * period_ns:
        block.last_left_out -= (block.last_left_out + 3) // 4
    else:
        block.last_left_out = min(MOST_LEFT_OUT, max(1, 2 * block.last_left_out))
    block.turns_left_out = block.last_left_out
    block.turn_ns = 0


def ask(address: int, question: object) -> None:
    """Have something called by a guest's thread at its next tick, which is at a poll: the guest has the GIL and is on a
    thread's stack then. Until it is withdrawn, guests that run without the GIL take it at each tick."""
    global asked
    questions.setdefault(address, []).append(question)
    asked += 1


def withdraw(address: int, question: object) -> None:
    """It is not called any more."""
    global asked
    questions[address].remove(question)
    if not questions[address]:
        del questions[address]
    asked -= 1


def answer(address: int) -> None:
    """A guest of the store whose context lies there is at a poll."""
    for question in tuple(questions.get(address, ())):
        question()


def expect_work() -> None:
    """What the calling thread runs next counts as if it had run for a period: it lets go of the GIL at its first tick,
    if that pays."""
    block: cython.pointer(ThreadBlock) = thread_block()
    block.ticked_cpu_ns = thread_cpu_ns() - period_ns  # may wrap around, and back in the comparison


def let_go_of_gil(block):
    """The thread goes on without it, until something needs it; nothing where it has none."""
    if block.tstate == cython.NULL:
        block.releases += 1
        threads.loose_threads += 1
        block.tstate = PyEval_SaveThread()


def gil_status() -> dict[str, int]:
    """Of the calling thread: ``releases`` of the GIL by its guests, as many of them as were ``turns``, and how many of
    these are ``left_out`` from now on; ``host_calls`` (all that need the GIL), and the ``worked_ticks`` after which it
    was decided whether to release it; ``loose`` threads of the process run guests without it now."""
    block: cython.pointer(ThreadBlock) = thread_block()
    return {
        "releases": block.releases,
        "turns": block.turns,
        "left_out": block.turns_left_out,
        "host_calls": block.host_calls,
        "worked_ticks": block.worked_ticks,
        "loose": threads.loose_threads,
    }
