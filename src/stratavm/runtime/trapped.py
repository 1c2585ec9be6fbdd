"""What is known of an activation that a guest leaves, or a part of it: the instances it leaves behind, where a fault
hit, the frames, and which of them looks at an exception."""

# strata: hot

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    MAGIC_VMCTX,
    MAX_TRAP_FRAMES,
    STATUS_THROW,
    TRAP_ARRAY_OUT_OF_BOUNDS,
    TRAP_CAST_FAILURE,
    TRAP_MEMORY_OUT_OF_BOUNDS,
    Activation,
    VMContext,
)
from cython.cimports.stratavm.heap.state import HeapState
from cython.cimports.stratavm.runtime.codemap import NO_FUNC, CodeRec, find_code, find_landing
from cython.cimports.stratavm.runtime.objects import is_reference

from stratavm.base.errors import GuestFrame
from stratavm.base.importing import begin_import, end_import, partial
from stratavm.runtime import codemap

NOT_TOLD = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)  # no array is so long


def poison(vmctx):
    """Mark the instance of a context as abandoned midway; host contexts and NULL are passed over."""
    if vmctx != cython.NULL and cython.cast(cython.pointer(uint64_t), vmctx)[0] == MAGIC_VMCTX:
        instance: object = cython.cast(
            object, cython.cast(cython.pointer(PyObject), cython.cast(cython.pointer(VMContext), vmctx).instance)
        )
        instance.poison()
    return 0


def poison_between(instances, act):
    """Poison those of a store's instances that lie between the first and the last of a call chain.

    A frame tells its function, not its instance: where no poisoned instance can have made it, all that can are
    poisoned.
    """
    i: uint32_t
    rec: cython.pointer(CodeRec)
    for i in range(act.n_frames):
        rec = find_code(act.frames[i] - 1)
        if rec != cython.NULL and rec.func != NO_FUNC:
            able: list = [instance for instance in instances if instance.runs(rec.owner, rec.func)]
            if not any(instance.poisoned for instance in able):
                for instance in able:
                    instance.poison()
    return 0


def found_type(act):
    """The canonical id of the type of the object that a cast found that failed; 0: it was none. To be asked before
    anything of Python's runs: the frames are dead, and nobody else may have the object."""
    word: uint64_t = act.fault_address
    state: cython.pointer(HeapState) = cython.cast(cython.pointer(HeapState), act.exec.heap)
    begin: uint64_t
    if act.trap_kind != TRAP_CAST_FAILURE or state == cython.NULL or not is_reference(word):
        return 0
    begin = cython.cast(uint64_t, state.base)
    if word & 15 or not begin <= word < begin + state.extent:
        return 0
    return cython.cast(cython.pointer(uint32_t), word)[0]


def fault_detail(act, found_id):
    """Where a memory fault hit, if it was one, which element of an array a guest wanted that has fewer, and what a cast
    found that failed: ``found_type`` said so at once."""
    vm: cython.pointer(VMContext) = cython.cast(cython.pointer(VMContext), act.vmctx)
    if act.trap_kind == TRAP_ARRAY_OUT_OF_BOUNDS and act.fault_address != NOT_TOLD:
        begin_import()
        try:
            from stratavm.contract.objects import outside
        finally:
            end_import()
        return outside(1, act.fault_address & 0xFFFFFFFF, act.fault_address >> 32)
    if act.trap_kind != TRAP_CAST_FAILURE and (act.trap_kind != TRAP_MEMORY_OUT_OF_BOUNDS or act.fault_address == 0):
        return ""
    if vm == cython.NULL or vm.magic != MAGIC_VMCTX:
        return ""
    instance: object = cython.cast(object, cython.cast(cython.pointer(PyObject), vm.instance))
    if act.trap_kind == TRAP_CAST_FAILURE:
        sites: list = []
        add_site(sites, act.trap_pc)
        rec: cython.pointer(CodeRec) = find_code(act.trap_pc)
        return instance.failed_cast_at(act.fault_address, found_id, rec.owner, frames_of(sites)) if sites else ""
    for memory in instance.memories:
        found: object = memory.where(act.fault_address)
        if found is not None:
            return found
    return ""


def guest_frames(act):
    """What finds out the frames of a trapped activation, innermost first; stubs are left out.

    Most traps are caught without a look at them. The owners of their code are kept, so that it stays what it is.
    """
    i: uint32_t
    sites: list = []
    if act.trap_pc and act.entry_sp:
        add_site(sites, act.trap_pc)
    for i in range(act.n_frames):
        add_site(sites, act.frames[i] - 1)  # inside the call instruction, not behind it
    return partial(frames_of, sites) if sites else ()


@cython.cfunc
def add_site(sites: list, pc: uint64_t) -> cython.int:
    """Add the owner of the code at a program counter, and that, unless it is a stub's."""
    rec: cython.pointer(CodeRec) = find_code(pc)
    if rec != cython.NULL and rec.func != NO_FUNC:
        sites.append((codemap.owners.get(rec.owner), pc))
    return 0


def frames_of(sites: list[tuple[object, int]]) -> tuple[GuestFrame, ...]:
    """Frames of (owner of the code, program counter), those of inlined calls included."""
    frames: list = []
    for owner, pc in sites:
        found: object = codemap.frames_at(pc)
        if owner is not None and found is not None:
            for func, position in found[1]:
                name: str = f"func[{func}]" if owner.label is None else owner.label(func)
                offset: int = position if owner.origin is None else position + owner.origin(func)
                frames.append(GuestFrame(func, name, offset, owner.name))
    return tuple(frames[:MAX_TRAP_FRAMES])


def offer(context):
    """The status of a builtin that ends with an exception of WebAssembly, and who of the guests below it in its
    activation looks at that first: frame by frame, each call by its return address. Traps and other exceptions of
    Python are offered to nobody."""
    act: cython.pointer(Activation) = cython.cast(cython.pointer(Activation), context.activation)
    frame: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), act.exit_sp)
    pc: uint64_t = frame[1]
    rec: cython.pointer(CodeRec)
    context.catch_pc = 0
    context.catch_fp = frame[0]
    while 0 < context.catch_fp < act.entry_sp:
        rec = find_code(pc - 1)  # the call, which may be the last instruction
        if rec == cython.NULL:
            break
        context.catch_pc = find_landing(rec, pc)
        if context.catch_pc:
            break
        frame = cython.cast(cython.pointer(uint64_t), context.catch_fp)
        context.catch_fp = frame[0]
        pc = frame[1]
    return STATUS_THROW
