# cython: linetrace=False
"""Thread blocks: one per OS thread that ever entered a guest, with its stack bounds and alternate signal stack."""

# strata: hot
from _thread import get_ident

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    munmap,
)
from cython.cimports.posix.signal import sigaltstack, stack_t
from cython.cimports.stratavm.runtime.native import (
    AT_MINSIGSTKSZ,
    RLIMIT_STACK,
    SS_DISABLE,
    add_64,
    getauxval,
    getpid,
    getrlimit,
    gettid,
    pthread_attr_destroy,
    pthread_attr_getstack,
    pthread_attr_t,
    pthread_getattr_np,
    pthread_key_create,
    pthread_self,
    pthread_setspecific,
    rlimit,
    stack_pointer,
    stack_reaches,
    unblock_faults,
)
from cython.cimports.stratavm.runtime.own_threads import begin_monitor, empty, lock, put_last, take_out, unlock
from cython.cimports.stratavm.runtime.parking import Parker
from cython.cimports.stratavm.runtime.tls import block_distance, set_block

from stratavm.base.errors import ResourceLimit
from stratavm.base.importing import main_thread

RESERVE = cython.declare(uint64_t, 512 << 10)  # of a thread's stack, kept for CPython and C helpers
MAX_STACK = cython.declare(uint64_t, 64 << 20)  # what an "unlimited" stack counts as: below lie other mappings
WAIT_NS = cython.declare(uint64_t, 5_000_000)  # for the GIL, beside a busy thread: what a new thread expects
last_serial = cython.declare(uint64_t, 0)
alt_stacks = cython.declare(uint64_t, 0)
parkers = cython.declare(cython.pointer(Parker), cython.NULL)  # that no thread has


def thread_block():
    """This thread's block, made at its first entry into a guest."""
    global side_blocks
    block: cython.pointer(ThreadBlock) = current_block()
    if block != cython.NULL:
        return block
    block = cython.cast(cython.pointer(ThreadBlock), calloc(1, cython.sizeof(ThreadBlock)))
    if block == cython.NULL:
        raise MemoryError("no memory for a thread block")
    block.serial = add_64(cython.address(last_serial), 1)
    block.cpu_clock = own_cpu_clock()
    block.waited_ns = WAIT_NS
    block.is_main = get_ident() == main_thread()
    if find_stack(block) or tend(block):
        drop_alt_stack(block)
        free(block)
        raise ResourceLimit("cannot find this thread's stack or give it a signal stack", limit="memory")
    lock(cython.address(threads))
    put_last(cython.address(blocks), block)
    side_blocks += not block.is_main
    unlock(cython.address(threads))
    pthread_setspecific(block_key, block)  # for its destructor alone
    set_block(block)
    return block


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_stack(block: cython.pointer(ThreadBlock)) -> cython.int:
    """Fill in the stack's bounds. 1 on failure."""
    attributes: pthread_attr_t
    low: cython.p_void = cython.NULL
    size: cython.size_t = 0
    reserve: uint64_t = RESERVE
    if pthread_getattr_np(pthread_self(), cython.address(attributes)) == 0:
        pthread_attr_getstack(cython.address(attributes), cython.address(low), cython.address(size))
        pthread_attr_destroy(cython.address(attributes))
        block.stack_low = cython.cast(uint64_t, low)
        block.stack_high = block.stack_low + size
    elif not guess_stack(block):
        return 1
    if block.stack_high - block.stack_low > MAX_STACK:
        block.stack_low = block.stack_high - MAX_STACK
    if gettid() == getpid():
        grow_stack(block)
    if not block.stack_low < stack_pointer() < block.stack_high:
        return 1
    if reserve > (block.stack_high - block.stack_low) // 2:
        reserve = (block.stack_high - block.stack_low) // 2
    block.limit = block.stack_low + reserve
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def grow_stack(block: cython.pointer(ThreadBlock)) -> cython.void:
    """Let the kernel add the whole main stack now, which takes addresses and one page: what it has added stays, while
    RLIMIT_STACK, which it looks at when it adds, may shrink later. What it does not add is not counted on."""
    low: uint64_t = block.stack_low + 4096
    while low < block.stack_high and not stack_reaches(low):
        low += ((block.stack_high - low) // 4 + 4095) & ~cython.cast(uint64_t, 4095)
    block.stack_low = low


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def guess_stack(block: cython.pointer(ThreadBlock)) -> cython.bint:
    """Bounds of the main thread's stack where a sandbox hides /proc: at least half of the limit is surely below us."""
    limits: rlimit
    if getrlimit(RLIMIT_STACK, cython.address(limits)) != 0:
        return False
    size: uint64_t = limits.rlim_cur if limits.rlim_cur < MAX_STACK else MAX_STACK
    block.stack_high = stack_pointer() + 4096
    block.stack_low = block.stack_high - size // 2
    return True


def tend(block):
    """See that this thread can take faults: no signal of theirs blocked, a signal stack. At its first entry, and then
    at times: others may have changed it. 1 on failure."""
    unblock_faults()
    return take_alt_stack(block)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def take_alt_stack(block: cython.pointer(ThreadBlock)) -> cython.int:
    """Make sure that the thread has an alternate signal stack of 64 KiB or more. 1 on failure."""
    stack: stack_t
    wanted: cython.size_t = (65536 + getauxval(AT_MINSIGSTKSZ) + 4095) & ~cython.cast(cython.size_t, 4095)
    if sigaltstack(cython.NULL, cython.address(stack)) != 0:
        return 1
    if not stack.ss_flags & SS_DISABLE and stack.ss_size >= 65536:
        return 0
    if block.alt_stack == cython.NULL:
        memory: cython.p_void = mmap(cython.NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if memory == MAP_FAILED:
            return 1
        block.alt_stack = memory  # `drop_block` gives it back
        block.alt_size = wanted
        add_64(cython.address(alt_stacks), 1)
    stack.ss_sp = block.alt_stack
    stack.ss_size = block.alt_size
    stack.ss_flags = 0
    return sigaltstack(cython.address(stack), cython.NULL) != 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def drop_alt_stack(block: cython.pointer(ThreadBlock)) -> cython.void:
    """Give this thread's own signal stack back, if it has one."""
    stack: stack_t
    if block.alt_stack != cython.NULL:
        if sigaltstack(cython.NULL, cython.address(stack)) == 0 and stack.ss_sp == block.alt_stack:
            stack.ss_flags = SS_DISABLE
            sigaltstack(cython.address(stack), cython.NULL)
        munmap(block.alt_stack, block.alt_size)
        add_64(cython.address(alt_stacks), -1)


def parker_of(block):
    """Where the thread sleeps."""
    global parkers
    if block.parker == cython.NULL:
        lock(cython.address(threads))
        block.parker = parkers
        if parkers != cython.NULL:
            parkers = parkers.next
        unlock(cython.address(threads))
        if block.parker == cython.NULL:
            block.parker = cython.cast(cython.pointer(Parker), calloc(1, cython.sizeof(Parker)))
    return block.parker


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def drop_block(memory: cython.p_void) -> cython.void:
    """The destructor of the thread's key: runs as the thread ends, without Python."""
    block: cython.pointer(ThreadBlock) = cython.cast(cython.pointer(ThreadBlock), memory)
    global parkers, side_blocks
    set_block(cython.NULL)
    lock(cython.address(threads))
    take_out(cython.address(blocks), block)
    side_blocks -= not block.is_main
    if block.parker != cython.NULL:
        block.parker.next = parkers
        parkers = block.parker
    unlock(cython.address(threads))
    drop_alt_stack(block)
    free(block)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_child() -> cython.void:
    """Only the forking thread lives on, and Python's main thread is now this one. Other blocks stay allocated: their
    stacks may still be in use by the C library's own bookkeeping, and a child does this once."""
    global loose_threads, side_blocks
    block: cython.pointer(ThreadBlock) = current_block()
    empty(cython.address(blocks))
    loose_threads = 0
    side_blocks = 0
    if block != cython.NULL:
        block.is_main = 1
        block.cpu_clock = own_cpu_clock()
        put_last(cython.address(blocks), block)


@cython.cfunc
def prepare() -> cython.int:
    """Make the key and the monitor; called once, at import."""
    global block_at
    block_at = block_distance()
    if pthread_key_create(cython.address(block_key), drop_block) != 0:
        raise ResourceLimit("no thread-specific key is left", limit="pthread keys")
    begin_monitor(cython.address(threads), cython.NULL, cython.NULL, after_fork_in_child)
    return 0


prepare()


@cython.cfunc
@cython.exceptval(check=False)
def distance(field: cython.p_void) -> cython.Py_ssize_t:
    """The offset of a field, given its address in a struct at 0."""
    return cython.cast(cython.Py_ssize_t, field)


def block_offsets() -> dict[str, int]:
    """Where the fields of a thread block lie that the machine code of a call uses, and ``tls``: the distance of the
    pointer to this thread's block from the thread pointer."""
    nowhere: cython.pointer(ThreadBlock) = cython.NULL
    return {
        "tls": block_at,
        "serial": distance(cython.address(nowhere.serial)),
        "limit": distance(cython.address(nowhere.limit)),
        "activation": distance(cython.address(nowhere.activation)),
        "running": distance(cython.address(nowhere.running)),
        "calls": distance(cython.address(nowhere.calls)),
        "in_guest": distance(cython.address(nowhere.in_guest)),
        "tstate": distance(cython.address(nowhere.tstate)),
    }


def thread_serial() -> int:
    """This thread's serial, never reused."""
    return thread_block().serial


def stack_left() -> int:
    """Bytes between this thread's stack pointer and the guest limit."""
    block: cython.pointer(ThreadBlock) = thread_block()
    sp: uint64_t = stack_pointer()
    return sp - block.limit if sp > block.limit else 0


def living_blocks() -> tuple[int, int]:
    """(thread blocks, alternate stacks) that exist now."""
    return blocks.count, alt_stacks
