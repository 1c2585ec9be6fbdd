"""Snapshots: what an idle instance holds, taken out of its store, and instances that begin with it (ADR-0057).

Owns what of an instance is state, and what cannot be; images of memories and slots are the same as for modules."""

# strata: hot
import os
from errno import ENOSPC

import cython
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcmp, memcpy, memset
from cython.cimports.posix.unistd import pwrite
from cython.cimports.stratavm.contract._gen_layout import GLOBAL_CELL, FuncRec
from cython.cimports.stratavm.contract.records import NO_RECORD
from cython.cimports.stratavm.runtime.blueprint import Blueprint
from cython.cimports.stratavm.runtime.common import CommonRecs, TableImage
from cython.cimports.stratavm.runtime.func import FuncRef
from cython.cimports.stratavm.runtime.globals import Global
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.link import Beginning, attach, take_back, take_imports
from cython.cimports.stratavm.runtime.memory import SHARED, Memory, MemorySpec, too_large
from cython.cimports.stratavm.runtime.occupancy import PARKED
from cython.cimports.stratavm.runtime.region import HOST_PAGE
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.table import Table, TableSpec, too_long
from cython.cimports.stratavm.runtime.wipe import Original, runs_unlike, runs_written

from stratavm.base.errors import Closed, InstancePoisoned, LinkError, ResourceLimit, SnapshotRefused, StoreBusy
from stratavm.runtime.constexpr import evaluate
from stratavm.runtime.image import check_files, file_of, image_of_file, image_over, open_file
from stratavm.spec.types import (
    ANY,
    EQ,
    EXN,
    EXTERN,
    F32,
    FUNC,
    FUNCREF,
    I31,
    I31_TAG,
    I32,
    NOEXN,
    REF,
    RESOLVED,
    V128,
    abstract_of,
    heap,
    holds_handles,
    is_ref,
    kind,
    resolved,
)

NARROW: tuple = (I32, F32)
HAVE_NUMBERS: tuple = (ANY, EQ, I31, EXTERN)
"""Above i31: values of their types may be numbers of 31 bits, which mean the same everywhere."""
NUMBER = cython.declare(uint64_t, I31_TAG)
OF_NUMBER = cython.declare(uint32_t, 1 << 31)  # of an element that is one, in four bytes
FAILED = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
MOST_SHARE = cython.declare(uint64_t, 4)  # one page in so many may be kept over another image
LEAST_MAPPED = cython.declare(uint64_t, 4096)  # elements of a table that are mapped: fewer are copied
MOST_AT_ONCE = cython.declare(uint64_t, 1 << 30)  # bytes of one system call


@cython.cclass
class State(Beginning):
    """What an instance of a blueprint holds. Frozen; refers to no store."""

    def __init__(self, *arguments: object):
        raise TypeError("a state is taken of an instance")

    def restore(self, instance, store, imports):
        """Make an instance hold it."""
        check_constants(self, imports)
        check_limits(self, store)
        try:
            instance.begin(store, self.blueprint, self.blueprint.common_recs())
            take_imports(instance, self.blueprint, imports)
            put_memories(self, instance)
            put_globals(self, instance)
            put_tables(self, instance)
            put_segments(self, instance)
            attach(instance, self.blueprint)
        except BaseException:
            take_back(instance, store)
            raise
        instance.initialized = self.initialized
        return 0

    def __reduce__(self):
        raise TypeError("a state cannot be pickled; Snapshot.serialize() makes bytes of it")


# ---- taking it ----


def state_of(instance: Instance, worlds: tuple = ()) -> State:
    """The state of an idle instance, and what worlds of its imports say that it has seen of them.

    Raises:
        SnapshotRefused: something of it points out of it, or a world says so.
        StoreBusy, Closed, InstancePoisoned: it is not idle, or not usable.
        ResourceLimit: the process may have no more files.
    """
    store: Store = instance.store
    check_idle(instance, store)
    functions: dict = named_functions(instance)
    state: State = State.__new__(State)
    # Of no thread: nobody runs guests in it, or closes it, while pages are copied without the GIL.
    store.exec.occupant = PARKED
    try:
        state.worlds = tuple([world.freeze() for world in worlds])
        take_segments(state, instance)
        take_globals(state, instance, functions)
        take_tables(state, instance, functions)
        take_memories(state, instance)
        state.blueprint = instance.blueprint
        state.initialized = instance.initialized
    finally:
        store.exec.occupant = 0
    return state


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_idle(instance: Instance, store: Store) -> cython.int:
    """Raise unless nobody is inside, and the instance is whole and has all that it is made of to itself."""
    if store is None:
        raise TypeError("this instance was never initialised")
    store.check_entry()
    if store.parked is not None:
        raise StoreBusy("a call that waits for the host is inside of the store: a snapshot is taken when it has ended")
    if store.exec.occupant != 0 or store.pinned:
        raise StoreBusy("a call is inside of the store: a snapshot is taken when it has ended, not by a host function")
    if instance.closed:
        raise Closed("the instance is closed: there is no snapshot of it")
    if instance.poisoned:
        raise InstancePoisoned("a call of the instance was abandoned midway: a snapshot would keep it as it was left")
    if instance.all_datas != cython.NULL:
        raise refusal("an instance whose initialisation failed", "its data segments", "make another instance")
    for wanted in instance.blueprint.imports:
        if wanted.kind in ("memory", "table") or (wanted.kind == "global" and wanted.type.mutable):
            what: str = f"an imported {'mutable ' if wanted.kind == 'global' else ''}{wanted.kind}"
            raise refusal(what, f"import {wanted.label}", "the module must define and may export it")
    for spec in instance.blueprint.memories:
        if cython.cast(MemorySpec, spec).flags & SHARED:
            raise refusal("a shared memory", "the module's memory", "threads may change it at any time")
    return 0


@cython.cfunc
def refusal(what: str, where: str, remedy: str) -> object:
    """What cannot be kept."""
    return SnapshotRefused(what, where, remedy)


@cython.cfunc
def remedy(type_: object, mutable: cython.bint) -> str:
    """What to do about a reference in a table or a global."""
    if not mutable:
        return "it is a constant: there is no snapshot of this module"
    if kind(type_) != REF:
        return "set it to null before"
    if not holds_handles(type_):
        return "set it to a function of the instance before"
    numbers: cython.bint = abstract_of(heap(type_)) in HAVE_NUMBERS
    return "set it to a number before" if numbers else "it is never null: there is no snapshot with it"


@cython.cfunc
def named(instance: Instance, kind: str, index: object) -> str:
    """An entry of an index space, with the name by which the module exports it."""
    for export in instance.blueprint.module.exports:
        if export.kind == kind and export.index == index:
            return f"{kind} {index} ({export.name!r:.60})"
    return f"{kind} {index}"


@cython.cfunc
def own_tables(instance: Instance) -> list:
    """Tables that it defines, with their indices."""
    first: object = len(instance.tables) - len(instance.blueprint.tables)
    return [(first + i, instance.tables[first + i]) for i in range(len(instance.blueprint.tables))]


@cython.cfunc
def named_functions(instance: Instance) -> dict:
    """The places of functions that have FuncRecs of their own, by address."""
    found: dict = {}
    for place, function in enumerate(instance.imported_funcs):
        found[cython.cast(uint64_t, cython.cast(FuncRef, function).rec)] = place
    if instance.common != cython.NULL and instance.lone is not None:  # the host may have put one into a table
        for index, function in instance.lone.items():
            place = instance.blueprint.listed(index)
            if place != NO_RECORD:
                found[cython.cast(uint64_t, cython.cast(FuncRef, function).rec)] = place
    return found


@cython.cfunc
@cython.exceptval(-1, check=False)
def take_tables(state: State, instance: Instance, functions: dict) -> cython.int:
    """What its tables hold; where that is what is mapped into them, the same bytes and files again."""
    table: Table
    held: list = []
    images: list = []
    for numbered in own_tables(instance):
        table = numbered[1]
        image: object = table.image if shows_still(instance, table) else None
        held.append(elements_of(instance, numbered, functions) if image is None else image.places)
        images.append(image)
    state.tables = tuple(held)
    state.images = images
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def shows_still(instance: Instance, table: Table) -> cython.bint:
    """Whether a table has the elements that are mapped into it: written pages are looked at, or all where the kernel
    does not name them."""
    at: uint64_t
    start: uint64_t
    size: uint64_t
    if table.image is None or table.d.length != table.image.length:
        return False
    content: cython.pointer(cython.const[uint64_t]) = table.image.content()
    whole: object = table.image.shown.end
    imported: dict = table.image.imported
    runs: list = runs_written(cython.cast(cython.p_char, table.d.base), whole, whole // HOST_PAGE)
    for start, size in [(0, whole)] if runs is None else runs:
        for at in range(start // 8, min((start + size) // 8, table.d.length)):
            if table.d.base[at] != content[at]:
                place: object = imported.get(at)
                if place is None or table.d.base[at] != instance.listed(place - 1):
                    return False
    return True


@cython.cfunc
def elements_of(instance: Instance, numbered: tuple, functions: dict) -> bytes:
    """What a table holds, as functions by place."""
    index, found = numbered
    i: uint64_t
    raw: uint64_t
    table: Table = found
    held: bytes = PyBytes_FromStringAndSize(cython.NULL, 4 * table.d.length)
    to: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), words_of(held))
    for i in range(table.d.length):
        raw = table.d.base[i]
        to[i] = 0
        if raw != 0:
            if not table.holds_handles:
                to[i] = place_of(instance, raw, functions)
            elif is_number(raw):
                to[i] = OF_NUMBER | cython.cast(uint32_t, raw)
            if to[i] == 0:
                where: str = f"{named(instance, 'table', index)}, element {i}"
                raise refusal(outsider(table.declared.element, raw), where, remedy(table.declared.element, True))
    return held


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_number(raw: uint64_t) -> cython.bint:
    """Whether a reference is a number."""
    return raw >> 31 == NUMBER >> 31


@cython.cfunc
def outsider(type_: object, raw: uint64_t) -> str:
    """What a reference refers to that no other instance can have."""
    if not holds_handles(type_):
        return "a function of another instance or of the host"
    if heap(type_) in (EXN, NOEXN):
        return "an exception"
    return "a guest's struct or array" if raw >> 32 else "an object of the host"


@cython.cfunc
@cython.exceptval(0xFFFFFFFF, check=False)
def place_of(instance: Instance, raw: uint64_t, functions: dict) -> uint32_t:
    """1 + the place of a function among the imported ones and those that have FuncRecs; 0: it is none of these."""
    first: uint64_t = cython.cast(uint64_t, instance.vm.func_recs)
    if raw - first < cython.sizeof(FuncRec) * cython.cast(uint64_t, instance.blueprint.n_recorded):
        return 1 + instance.n_imported_funcs + cython.cast(uint32_t, (raw - first) // cython.sizeof(FuncRec))
    return imported_place(raw, functions)


@cython.cfunc
@cython.exceptval(0xFFFFFFFF, check=False)
def imported_place(raw: uint64_t, functions: dict) -> uint32_t:
    """``place_of`` for imported functions."""
    found: object = functions.get(raw)
    return 0 if found is None else 1 + found


@cython.cfunc
@cython.exceptval(-1, check=False)
def take_globals(state: State, instance: Instance, functions: dict) -> cython.int:
    """Its own globals as bits, and imported constants, which are the same in each clone."""
    i: uint32_t
    constant: Global
    blueprint: Blueprint = instance.blueprint
    first: uint32_t = blueprint.n_imported_globals
    own: uint32_t = blueprint.n_globals - first
    at: cython.p_char = instance.cell(blueprint.global_cells + GLOBAL_CELL * cython.cast(uint64_t, first))
    held: bytes = PyBytes_FromStringAndSize(cython.NULL, GLOBAL_CELL * own)
    cells: cython.pointer(uint64_t) = words_of(held)
    memcpy(cells, at, GLOBAL_CELL * cython.cast(uint64_t, own))
    for i in range(own):
        type_: object = blueprint.globals[i].type.value
        if is_ref(type_) and cells[2 * i] != 0 and not is_number(cells[2 * i]):
            place: uint64_t = 0 if holds_handles(type_) else place_of(instance, cells[2 * i], functions)
            if place == 0:
                mutable: cython.bint = blueprint.globals[i].type.mutable
                where: str = named(instance, "global", first + i)
                raise refusal(outsider(type_, cells[2 * i]), where, remedy(type_, mutable))
            cells[2 * i] = place
    state.cells = held
    constants: list = []
    for variable in instance.made_globals[:first]:
        constant = variable
        bits: object = constant.cell[0]
        if constant.width == 16:
            bits = bits | (cython.cast(object, constant.cell[1]) << 64)
        if bits and is_ref(constant.type.value) and not is_number(constant.cell[0]):
            where: str = named(instance, "global", len(constants))
            raise refusal("a reference that is imported", where, "import a null reference")
        constants.append(bits)
    state.constants = tuple(constants)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def take_segments(state: State, instance: Instance) -> cython.int:
    """Which passive segments are dropped. Others are made anew, and so would be objects in them, as they were first."""
    i: uint32_t
    at: uint64_t
    dropped: list = []
    for i in range(instance.blueprint.n_passive):  # one that was empty from the beginning is as good as dropped
        dropped.append(instance.seg.data[i].size == 0)
    state.dropped_datas = bytes(dropped)
    dropped = []
    for i in range(instance.seg.n_elements):
        dropped.append(instance.seg.elements[i].size == 0)
        type_: object = resolved(instance.blueprint.segments[i].type, instance.blueprint.ids)
        for at in range(instance.seg.elements[i].size if holds_handles(type_) else 0):
            raw: uint64_t = instance.seg.elements[i].items[at]
            if raw != 0 and not is_number(raw):
                where: str = f"element segment {i}, element {at}"
                raise refusal(outsider(type_, raw), where, "drop the segment before (elem.drop)")
    state.dropped_elements = bytes(dropped)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def take_memories(state: State, instance: Instance) -> cython.int:
    """Images of its memories."""
    memory: Memory
    taken_ones: list = []
    for memory in instance.memories:
        image: object = None
        if memory.d.bytes:
            try:
                image = image_of(state, memory)
            except OSError as error:
                raise ResourceLimit(f"the system has no file for a snapshot: {error}", limit="files") from error
        taken_ones.append((memory.d.bytes >> memory.d.page_shift, image))
        state.memory_bytes += memory.d.bytes
    state.memories = tuple(taken_ones)
    return 0


@cython.cfunc
def image_of(state: State, memory: Memory) -> object:
    """An image of all of a memory: of its own, or a few pages over that of the snapshot that it began with; or as many
    as there are, in a process that may have no files in memory."""
    size: uint64_t = (memory.d.bytes + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
    pieces: object = None if memory.image is None else pieces_of(memory, size)
    if pieces is not None:
        state.kept_bytes += sum([len(content) for _, content in pieces])
        return image_over(memory.image, pieces)
    region: object = memory.region  # the address space stays while other threads run
    check_files()
    number: object
    try:
        number = open_file()
    except PermissionError:
        if memory.image is None:
            raise
        pieces = pieces_at(memory, runs_unlike(memory.d.base, size, memory.image.original))
        state.kept_bytes += sum([len(content) for _, content in pieces])
        return image_over(memory.image, pieces)
    descriptor: cython.int = number
    written: uint64_t
    base: cython.p_char = memory.d.base
    count: uint64_t = memory.d.bytes
    try:
        os.ftruncate(number, size)
        with cython.nogil:
            written = write_pages(descriptor, base, count)
        if written == FAILED:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
    except BaseException:
        os.close(number)
        raise
    del region
    state.kept_bytes += written
    return image_of_file(number, size)


@cython.cfunc
def pieces_of(memory: Memory, size: uint64_t) -> object:
    """The pages that were written since the memory shows its image, as (offset, bytes); None where they are unknown, or
    more than one in MOST_SHARE."""
    runs: list = runs_written(memory.d.base, size, size // HOST_PAGE // MOST_SHARE)
    return None if runs is None else pieces_at(memory, runs)


@cython.cfunc
def pieces_at(memory: Memory, runs: list) -> object:
    """The content of these runs of pages."""
    pieces: list = []
    at: uint64_t
    count: uint64_t
    for at, count in runs:
        if at < memory.d.bytes:
            pieces.append((at, PyBytes_FromStringAndSize(memory.d.base + at, min(count, memory.d.bytes - at))))
    return tuple(pieces)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def write_pages(descriptor: cython.int, base: cython.p_char, size: uint64_t) -> uint64_t:
    """Write the pages of a memory that are not all zero to where they are in a file; how many bytes, or FAILED."""
    at: uint64_t = 0
    end: uint64_t
    written: uint64_t = 0
    put: cython.Py_ssize_t
    while at < size:
        if is_zero(base + at, min(HOST_PAGE, size - at)):
            at += HOST_PAGE
            continue
        end = at + min(HOST_PAGE, size - at)
        while end < size and end - at < MOST_AT_ONCE and not is_zero(base + end, min(HOST_PAGE, size - end)):
            end += min(HOST_PAGE, size - end)
        while at < end:
            put = pwrite(descriptor, base + at, end - at, at)
            if put <= 0:
                return FAILED
            at += put
            written += put
        at = (at + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
    return written


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def is_zero(page: cython.p_char, size: uint64_t) -> cython.bint:
    """Whether bytes of a page, at least one, are all zero."""
    return page[0] == 0 and memcmp(page, page + 1, size - 1) == 0


# ---- beginning with it ----


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_constants(state: State, imports: object) -> cython.int:
    """LinkError unless imported constants are what they were."""
    at: cython.Py_ssize_t
    n: object = 0
    if not state.constants:
        return 0
    for at in range(len(imports)):
        wanted = state.blueprint.imports[at]
        if wanted.kind == "global":
            bits: object = imports[at].bits
            if bits != state.constants[n]:
                where: str = f"incompatible import for {wanted.label}"
                raise LinkError(f"{where}: a constant of bits {state.constants[n]:#x} in the snapshot, {bits:#x} here")
            n += 1
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_limits(state: State, store: Store) -> cython.int:
    """ResourceLimit unless the store may hold all of it. Nothing is mapped by then."""
    i: cython.Py_ssize_t
    spec: MemorySpec
    form: TableSpec
    pages: uint64_t
    length: uint64_t
    elements: uint64_t = 0
    for i in range(len(state.memories)):
        spec = state.blueprint.memories[i]
        pages = state.memories[i][0]
        if pages > min(spec.maximum, store.template.memory_bytes >> spec.shift):
            raise too_large(pages, spec.shift, store.template.memory_bytes)
    for i in range(len(state.tables)):
        length = len(state.tables[i]) // 4
        elements += length
        if length > store.template.table_elements:
            raise too_long(length, store.template.table_elements)
    store.memory_quota.check(state.memory_bytes, "a snapshot's memory")
    store.quota.check(state.memory_bytes + 8 * elements + state.blueprint.size, "a snapshot")
    limiter: object = store.template.limits.limiter
    if limiter is not None:
        for i in range(len(state.memories)):
            spec = state.blueprint.memories[i]
            ask_limiter(store, limiter, "memory", spec.minimum << spec.shift, state.memories[i][0] << spec.shift)
        for i in range(len(state.tables)):
            form = state.blueprint.tables[i]
            ask_limiter(store, limiter, "table", form.minimum, len(state.tables[i]) // 4)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def ask_limiter(store: Store, limiter: object, kind: str, now: object, wanted: object) -> cython.int:
    """A limiter would have been asked for what is beyond the declared minimum when it was grown."""
    if wanted > now and not limiter(kind, now, wanted):
        raise ResourceLimit(f"the limiter of the store refuses a snapshot's {kind} of {wanted}", limit="limiter")
    return store.check_access()


@cython.cfunc
@cython.exceptval(-1, check=False)
def put_memories(state: State, instance: Instance) -> cython.int:
    """Its memories, which show images; where they cannot, pages are copied."""
    i: cython.Py_ssize_t
    memory: Memory
    for i in range(len(state.memories)):
        pages, image = state.memories[i]
        memory = Memory.__new__(Memory)
        memory.begin_with(instance.store, state.blueprint.memories[i], image, pages)
        if image is not None and memory.shows:
            memory.image = image if image.root is None else image.root
        elif image is not None:
            memory.written = True
            copy_pages(memory.d.base, memory.d.bytes, image.original)
            for at, content in image.pieces:
                memory.put(at, content)
        instance.add_memory(memory)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def copy_pages(base: cython.p_char, size: uint64_t, original: Original) -> cython.void:
    """Copy the pages of an image that are not all zero."""
    at: uint64_t = 0
    count: uint64_t
    size = min(size, original.size)
    while at < size:
        count = min(HOST_PAGE, size - at)
        if not is_zero(cython.cast(cython.p_char, original.content) + at, count):
            memcpy(base + at, original.content + at, count)
        at += HOST_PAGE


@cython.cfunc
@cython.exceptval(-1, check=False)
def put_globals(state: State, instance: Instance) -> cython.int:
    """Its own globals."""
    i: uint32_t
    blueprint: Blueprint = instance.blueprint
    first: uint32_t = blueprint.n_imported_globals
    cells: cython.pointer(uint64_t) = cython.cast(
        cython.pointer(uint64_t),
        instance.cell(blueprint.global_cells + GLOBAL_CELL * cython.cast(uint64_t, first)),
    )
    memcpy(cells, cython.cast(cython.p_char, state.cells), len(state.cells))
    for i in range(len(blueprint.globals)):
        if is_ref(blueprint.globals[i].type.value):
            if cells[2 * i] != 0 and not is_number(cells[2 * i]):
                instance.store.check_access()
                cells[2 * i] = instance.listed(cells[2 * i] - 1)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def put_tables(state: State, instance: Instance) -> cython.int:
    """Its own tables."""
    i: cython.Py_ssize_t
    at: uint64_t
    length: uint64_t
    table: Table
    form: TableSpec
    image: TableImage
    imported: uint32_t = instance.n_imported_funcs
    places: cython.pointer(cython.const[uint32_t])
    for i in range(len(state.tables)):
        length = len(state.tables[i]) // 4
        form = state.blueprint.tables[i]
        image = None
        if instance.common != cython.NULL and form.holds_functions:
            image = image_of_table(state, i, cython.cast(CommonRecs, instance.common))
        table = Table.__new__(Table)
        table.begin(instance.store, form, 0, length, image)
        instance.add_table(table)
        instance.store.check_access()  # a limit or the collector may have closed it: nothing below runs anything
        if image is not None:
            for at in image.imported:
                table.d.base[at] = instance.listed(image.imported[at] - 1)
            continue
        places = numbers_in(state.tables[i])
        for at in range(length):
            if form.holds_handles and places[at] != 0:
                table.d.base[at] = NUMBER | (places[at] & ~OF_NUMBER)
            elif places[at] > imported:
                table.d.base[at] = cython.cast(uint64_t, instance.vm.func_recs + (places[at] - 1 - imported))
            elif places[at] != 0:
                table.d.base[at] = instance.listed(places[at] - 1)
    return 0


@cython.cfunc
def image_of_table(state: State, number: cython.Py_ssize_t, recs: CommonRecs) -> TableImage:
    """What one of its tables begins with in all clones; made for the first."""
    at: uint64_t
    image: TableImage = state.images[number]
    if image is not None:
        return image
    image = TableImage.__new__(TableImage)
    image.recs = recs
    image.places = state.tables[number]
    image.imported = {}
    image.length = len(image.places) // 4
    imported: uint32_t = state.blueprint.n_imported_funcs
    size: uint64_t = 8 * image.length
    if image.length >= LEAST_MAPPED:
        size = (size + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
    raws: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    to: cython.pointer(uint64_t) = words_of(raws)
    places: cython.pointer(cython.const[uint32_t]) = numbers_in(image.places)
    memset(to, 0, size)
    for at in range(image.length):
        if places[at] > imported:
            to[at] = cython.cast(uint64_t, recs.recs + (places[at] - 1 - imported))
        elif places[at] != 0:
            image.imported[at] = places[at]
    if image.length >= LEAST_MAPPED:
        image.shown = shown_by_file(raws)
    if image.shown is None:
        image.raws = raws
    if state.images[number] is None:  # else another thread came first: clones have one, where they can
        state.images[number] = image
    return state.images[number]


@cython.cfunc
def shown_by_file(content: bytes) -> object:
    """An image that is one run, of these bytes; None where there can be no file."""
    try:
        check_files()
        return image_of_file(file_of((content,)), len(content))
    except OSError:
        return None


@cython.cfunc
@cython.inline
def numbers_in(held: bytes) -> cython.pointer(cython.const[uint32_t]):
    """Bytes as numbers of four bytes."""
    return cython.cast(
        cython.pointer(cython.const[uint32_t]), cython.cast(cython.p_void, cython.cast(cython.p_char, held))
    )


@cython.cfunc
@cython.inline
def words_of(held: bytes) -> cython.pointer(uint64_t):
    """Bytes as words of eight bytes, of an object that nobody else has yet."""
    return cython.cast(cython.pointer(uint64_t), cython.cast(cython.p_void, cython.cast(cython.p_char, held)))


@cython.cfunc
@cython.exceptval(-1, check=False)
def put_segments(state: State, instance: Instance) -> cython.int:
    """Its passive segments, but for those that were dropped."""
    i: uint32_t
    for i in range(instance.blueprint.n_passive):
        if cython.cast(cython.p_char, state.dropped_datas)[i]:
            instance.seg.data[i].size = 0
    for i in range(instance.seg.n_elements):
        if not cython.cast(cython.p_char, state.dropped_elements)[i]:
            instance.set_element(i, evaluate)
    return 0


# ---- of what was written down ----


def state_of_parts(blueprint: Blueprint, parts: tuple, kept_bytes: int, worlds: tuple = ()) -> State:
    """A state that was written down, maybe by somebody else: what is in it is what instances of the blueprint may have.

    Parts are, in this order: memories, cells, tables, dropped data and element segments, constants, and whether it was
    initialised; see the header.

    Raises:
        ValueError: they are of no instance of this module.
    """
    memories, cells, tables, datas, elements, constants, initialized = parts
    state: State = State.__new__(State)
    state.blueprint = blueprint
    state.initialized = initialized
    state.kept_bytes = kept_bytes
    state.worlds = worlds
    expect("data segments", len(datas) == blueprint.n_passive)
    expect("element segments", len(elements) == blueprint.counts.n_elements)
    expect("imported globals", len(constants) == blueprint.n_imported_globals)
    state.dropped_datas, state.dropped_elements, state.constants = datas, elements, constants
    state.cells = checked_cells(blueprint, cells)
    expect("tables", len(tables) == len(blueprint.tables))
    for form, held in zip(blueprint.tables, tables):  # noqa: B905 - as many
        check_table(blueprint, form, held)
    state.tables = tables
    state.images = [None] * len(tables)
    expect("memories", len(memories) == len(blueprint.memories))
    for spec, taken_one in zip(blueprint.memories, memories):  # noqa: B905 - as many
        check_memory(spec, taken_one[0], taken_one[1])
        state.memory_bytes += taken_one[0] << cython.cast(MemorySpec, spec).shift
    state.memories = memories
    return state


@cython.cfunc
@cython.exceptval(-1, check=False)
def expect(what: str, right: cython.bint) -> cython.int:
    """ValueError where what was written down does not fit."""
    if not right:
        raise ValueError(f"its {what} are not those of the module")
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_memory(spec: MemorySpec, pages: object, image: object) -> cython.int:
    """A memory has as many pages as it may have, and as many bytes as its image, in whole pages of the host."""
    expect("memories", spec.minimum <= pages <= spec.maximum and not spec.flags & SHARED)
    size: object = pages << spec.shift
    if size == 0:
        return expect("memories", image is None)
    return expect("memories", image.end in (0, -(-size // HOST_PAGE) * HOST_PAGE))


@cython.cfunc
def checked_cells(blueprint: Blueprint, cells: bytes) -> bytes:
    """Own globals: each has no more bits than its type, and references are what that allows."""
    i: uint32_t
    types: list = [variable.type.value for variable in blueprint.globals]
    expect("globals", len(cells) == GLOBAL_CELL * len(types))
    right: bytes = PyBytes_FromStringAndSize(cython.cast(cython.p_char, cells), len(cells))
    to: cython.pointer(uint64_t) = words_of(right)
    for i in range(len(types)):
        if is_ref(types[i]):
            if is_number(to[2 * i]):
                expect("globals", has_numbers(types[i]))
            else:
                place: uint32_t = cython.cast(uint32_t, to[2 * i])
                expect("globals", to[2 * i] == place and is_held(blueprint, types[i], place))
        elif types[i] in NARROW:
            to[2 * i] = cython.cast(uint32_t, to[2 * i])
        if types[i] != V128:
            to[2 * i + 1] = 0
    return right


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_table(blueprint: Blueprint, form: TableSpec, held: bytes) -> cython.int:
    """A table has as many elements as it may have, of its type."""
    i: uint64_t
    length: uint64_t = len(held) // 4
    element: object = form.declared.element
    plain: cython.bint = element == FUNCREF
    most: uint64_t = blueprint.n_imported_funcs + cython.cast(uint64_t, blueprint.n_recorded)
    places: cython.pointer(cython.const[uint32_t]) = numbers_in(held)
    expect("tables", len(held) % 4 == 0 and form.minimum <= length <= form.maximum)
    for i in range(length):
        if plain:
            expect("tables", places[i] <= most)
        elif places[i] & OF_NUMBER != 0 and form.holds_handles:
            expect("tables", has_numbers(element))
        else:
            expect("tables", is_held(blueprint, element, places[i]))
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def has_numbers(type_: object) -> cython.bint:
    """Whether numbers of 31 bits are values of a reference type."""
    return holds_handles(type_) and abstract_of(heap(type_)) in HAVE_NUMBERS


@cython.cfunc
@cython.exceptval(-1, check=False)
def is_held(blueprint: Blueprint, type_: object, place: uint32_t) -> cython.bint:
    """Whether 1 + the place of a function, or 0, is a value of a reference type."""
    what: object = heap(type_)
    if place == 0:
        return kind(type_) != REF
    place -= 1
    if place >= blueprint.n_imported_funcs + cython.cast(uint64_t, blueprint.n_recorded):
        return False
    if what == FUNC:
        return True
    if what < RESOLVED:
        return False
    found: object
    if place < blueprint.n_imported_funcs:
        found = blueprint.ids[blueprint.module.imported_funcs[place].type_index]
    else:
        found = blueprint.type_id(blueprint.recorded[place - blueprint.n_imported_funcs])
    return blueprint.types.home.matches(found, what - RESOLVED)
