# strata: hot
"""A long function on a thread of its own that goes behind all others and never touches Python. Owns that thread.

An event loop that waits for such a function goes on meanwhile: the thread that loads the module competes with it for
processors otherwise. Nobody ever waits for the GIL because this one was not given a processor: it wants none.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import Quota, begin_quota, end_quota, look
from cython.cimports.stratavm.base.failures import Failure, guarded, raise_failure
from cython.cimports.stratavm.module.reader import join_soon
from cython.cimports.stratavm.native.background import be_background
from cython.cimports.stratavm.native.worker import Worker
from cython.cimports.stratavm.runtime.native import pthread_t
from cython.cimports.stratavm.runtime.own_threads import POSSIBLE, pthread_join, start_thread

NICE = cython.declare(cython.int, 10)  # more than the process has
STACK_BYTES = cython.declare(cython.size_t, 1 << 20)
LOOK_MS = cython.declare(cython.long, 10)

begun = cython.declare(uint32_t, 0)  # threads so far


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def do_stages(worker: cython.p_void) -> cython.int:
    """The work of a guard."""
    return cython.cast(Worker, worker).stages()


@cython.final
@cython.auto_pickle(False)
@cython.cclass
class Apart:
    """The stages that a worker was asked for, on a thread that somebody waits for."""

    worker: Worker
    thread: pthread_t
    quota: Quota
    failure: Failure
    stopped: uint32_t
    most: int64_t

    def __cinit__(self, worker: Worker):
        self.worker = worker
        self.most = worker.apart
        memset(cython.address(self.failure), 0, cython.sizeof(Failure))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def work(self) -> cython.void:
        """What the thread does."""
        be_background(NICE)
        begin_quota(cython.address(self.quota), cython.address(self.stopped), self.most)
        guarded(cython.address(self.failure), do_stages, cython.cast(cython.p_void, self.worker))
        end_quota(cython.address(self.quota))

    def wait(self) -> None:
        """Until the thread has ended, with looks at the budget of this one."""
        ended: cython.bint = False
        try:
            while not ended:
                with cython.nogil:
                    ended = join_soon(self.thread, LOOK_MS)
                if not ended:
                    look()
        except BaseException:
            self.stopped = 1
            with cython.nogil:
                pthread_join(self.thread, cython.NULL)
            raise
        if self.failure.kind:
            raise_failure(cython.address(self.failure))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run(memory: cython.p_void) -> cython.p_void:
    """The thread, from its beginning to its end."""
    cython.cast(Apart, memory).work()
    return cython.NULL


def run_apart(worker: Worker) -> bool:
    """Run the stages that a worker was asked for, with ``worker.apart`` bytes of scratch memory; false, and nothing was
    done, where there is no thread for them.

    Raises what the stages fail with, or what the budget of this thread says: then nothing is at work any more.
    """
    global begun
    apart: Apart = Apart(worker)
    if not POSSIBLE:
        return False
    if start_thread(cython.address(apart.thread), STACK_BYTES, True, run, cython.cast(cython.p_void, apart)):
        return False
    begun += 1
    apart.wait()
    return True


def threads_begun() -> int:
    """How many functions had a thread of their own so far."""
    return begun
