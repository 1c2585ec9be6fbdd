# cython: auto_pickle=False
# strata: hot
"""Short ways to what a world was given and what asks no file: arguments, environment, names of pre-opened directories,
flags that stay as they are, yielding. The rules are those of ``short``."""

import cython
from cython.cimports.cpython.bytes import PyBytes_CheckExact
from cython.cimports.cpython.list import PyList_CheckExact
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.native import load_32
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.wasi.p1.kernel import put_32, sched_yield
from cython.cimports.stratavm.wasi.p1.short import Short
from cython.cimports.stratavm.wasi.state import DescriptorState, WorldState

from stratavm.wasi.abi import PREOPEN_DIRECTORY, PRESTAT, Rights

SET_FLAGS = cython.declare(uint64_t, Rights.FD_FDSTAT_SET_FLAGS)
DIRECTORY = cython.declare(uint32_t, PREOPEN_DIRECTORY)
PRESTAT_BYTES = cython.declare(uint64_t, PRESTAT.size)


@cython.cfunc
@cython.exceptval(check=False)
def total(strings: list, size: cython.pointer(uint64_t)) -> cython.bint:
    """The bytes of all; false where one is not of the plain kind."""
    string: object
    size[0] = 0
    for string in strings:
        if not PyBytes_CheckExact(string):
            return False
        size[0] += len(cython.cast(bytes, string))
    return True


# ---- arguments and environment --------------------------------------------------------------------


@cython.cclass
class Strings(Short):
    """A world's arguments, or its environment."""

    def strings(self):
        """The C strings, or None where they are not as usual."""
        world: WorldState = self.world
        found: object = world.environ if self.of_environ else world.args
        return None if world.closed or not PyList_CheckExact(found) else found


@cython.cclass
class ArgsSizesGet(Strings):
    """``args_sizes_get``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Where to put the number, where to put the size."""
        size: uint64_t = 0
        n_out: uint64_t = cython.cast(uint32_t, cells[0])
        size_out: uint64_t = cython.cast(uint32_t, cells[2])
        strings: list = self.strings()
        if strings is None or not memory.inside(n_out, 4) or not memory.inside(size_out, 4):
            return 0
        if not total(strings, cython.address(size)):
            return 0
        memory.written = True
        put_32(memory.d.base + n_out, len(strings))
        put_32(memory.d.base + size_out, size)
        cells[0] = 0
        return 1


@cython.cclass
class EnvironSizesGet(ArgsSizesGet):
    """``environ_sizes_get``."""

    def __init__(self, general: object, world: WorldState):
        ArgsSizesGet.__init__(self, general, world)
        self.of_environ = True


@cython.cclass
class ArgsGet(Strings):
    """``args_get``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Where to put the pointers, where to put the strings: these first, as on the general way."""
        size: uint64_t = 0
        string: bytes
        pointers: uint64_t = cython.cast(uint32_t, cells[0])
        start: uint64_t = cython.cast(uint32_t, cells[2])
        at: uint64_t = start
        strings: list = self.strings()
        if strings is None or not total(strings, cython.address(size)):
            return 0
        if not memory.inside(pointers, 4 * cython.cast(uint64_t, len(strings))) or not memory.inside(start, size):
            return 0
        memory.written = True
        for string in strings:
            memcpy(memory.d.base + at, cython.cast(cython.p_char, string), len(string))
            at += len(string)
        at = start
        for string in strings:
            put_32(memory.d.base + pointers, at)
            pointers += 4
            at += len(string)
        cells[0] = 0
        return 1


@cython.cclass
class EnvironGet(ArgsGet):
    """``environ_get``."""

    def __init__(self, general: object, world: WorldState):
        ArgsGet.__init__(self, general, world)
        self.of_environ = True


# ---- pre-opened directories, flags ----------------------------------------------------------------


@cython.cclass
class Preopened(Short):
    """What asks for the name of a pre-opened directory."""

    def name(self, cell):
        """The name of the directory of a number; None for any other, which is the general way's to say."""
        found: DescriptorState = self.find(cell, 0)
        return None if found is None or not PyBytes_CheckExact(found.preopen) else found.preopen


@cython.cclass
class FdPrestatGet(Preopened):
    """``fd_prestat_get`` of a pre-opened directory."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to."""
        out: uint64_t = cython.cast(uint32_t, cells[2])
        name: bytes = self.name(cells[0])
        if name is None or not memory.inside(out, PRESTAT_BYTES):
            return 0
        memory.written = True
        put_32(memory.d.base + out, DIRECTORY)
        put_32(memory.d.base + out + 4, len(name))
        cells[0] = 0
        return 1


@cython.cclass
class FdPrestatDirName(Preopened):
    """``fd_prestat_dir_name`` of a pre-opened directory."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to, how many bytes there are."""
        out: uint64_t = cython.cast(uint32_t, cells[2])
        name: bytes = self.name(cells[0])
        if name is None or cython.cast(uint32_t, cells[4]) < cython.cast(uint64_t, len(name)):
            return 0
        if not memory.inside(out, len(name)):
            return 0
        memory.written = True
        memcpy(memory.d.base + out, cython.cast(cython.p_char, name), len(name))
        cells[0] = 0
        return 1


@cython.cclass
class FdFdstatSetFlags(Short):
    """``fd_fdstat_set_flags`` to what they are: what a libc does that sets one flag on descriptors that have it."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, flags."""
        found: DescriptorState = self.find(cells[0], SET_FLAGS)
        if found is None or found.flags != cython.cast(uint32_t, cells[2]):
            return 0
        cells[0] = 0
        return 1


# ---- the process ----------------------------------------------------------------------------------


@cython.cclass
class SchedYield(Short):
    """``sched_yield`` where nobody wants to end the call."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Nothing."""
        store: Store = memory.store
        if self.world.closed or self.world.checkpoint is not None or load_32(cython.address(store.exec.pending)):
            return 0
        sched_yield()
        cells[0] = 0
        return 1
