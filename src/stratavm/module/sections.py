# cython: binding=True, embedsignature=False
# strata: hot
"""The functions and data segments of a module: sequences over flat records, which make an item when it is asked for.

A large program has tens of thousands of both, and a run looks at few of them.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.cpython.object import PyObject_GenericSetAttr
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.leb import bytes_t
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.module.reader import PyObject_GC_UnTrack

from stratavm.base.budget import check

FARTHEST = 1 << 62  # no memory has as many bytes

ConstExpr: object = None
Function: object = None
Data: object = None


def items_are(const_expr: type, function: type, data: type) -> None:
    """What items are made as. The model, which is above, says so when it is loaded."""
    global ConstExpr, Function, Data
    ConstExpr, Function, Data = const_expr, function, data


def untracked(numbers):
    """The same tuple or frozen set of numbers, which the cyclic collector does not look through: each full collection,
    and there are three when a process ends, would look at all of them twice."""
    PyObject_GC_UnTrack(numbers)
    return numbers


# Three things make items cheap: no ``__init__`` (a frozen dataclass's costs ten times as much), slots set directly, and
# no work for the cyclic collector, which a burst of objects sets off again and again: these hold numbers, bytes and
# each other, and never form a cycle.


def new_const(code, offset, lone_i32):
    """A ``ConstExpr``."""
    made: object = ConstExpr.__new__(ConstExpr)
    PyObject_GC_UnTrack(made)
    PyObject_GenericSetAttr(made, "code", code)
    PyObject_GenericSetAttr(made, "offset", offset)
    PyObject_GenericSetAttr(made, "lone_i32", lone_i32)
    return made


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_placed(at: cython.pointer(DataRecord)) -> cython.bint:
    """Whether a segment goes to a place that stands in the module."""
    return at.kind == DATA_PLAIN or at.kind == DATA_WIDE


def wide_place(code):
    """The value of an expression that is one ``i64.const`` below 2**32; None for any other."""
    value: uint64_t = 0
    shift: cython.int = 0
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(code)
    if not 3 <= n <= 12 or code[0] != 0x42 or code[n - 1] != 0x0B:
        return None
    for i in range(1, n - 1):
        if shift < 64:
            value |= cython.cast(uint64_t, code[i] & 0x7F) << shift
        shift += 7
        if (code[i] < 0x80) != (i == n - 2):  # it ends there, and not before
            return None
    if code[n - 2] & 0x40 or value > 0xFFFFFFFF:  # below 0, or far up
        return None
    return value


@cython.cfunc
def new_data(mode: str, start: object, end: object, memory: object, offset: object) -> object:
    """A ``Data``."""
    made: object = Data.__new__(Data)
    PyObject_GC_UnTrack(made)
    PyObject_GenericSetAttr(made, "mode", mode)
    PyObject_GenericSetAttr(made, "start", start)
    PyObject_GenericSetAttr(made, "end", end)
    PyObject_GenericSetAttr(made, "memory", memory)
    PyObject_GenericSetAttr(made, "offset", offset)
    return made


@cython.cfunc
def new_function(index: object, start: object, end: object, runs: tuple) -> object:
    """A ``Function``."""
    made: object = Function.__new__(Function)
    PyObject_GC_UnTrack(made)
    PyObject_GenericSetAttr(made, "type_index", index)
    PyObject_GenericSetAttr(made, "start", start)
    PyObject_GenericSetAttr(made, "end", end)
    PyObject_GenericSetAttr(made, "locals", runs)
    return made


@cython.cfunc
def records_for(count: cython.size_t, size: cython.size_t) -> cython.p_void:
    """Zeroed memory for ``count`` records and one behind them."""
    memory: cython.p_void = calloc(count + 1, size)
    if memory == cython.NULL:
        raise MemoryError("no memory for the items of a module")
    return memory


@cython.cclass
class Items:
    """A sequence that never changes: as a tuple of its items would be, to which it is equal."""

    def item(self, index):
        """The item at a checked index."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: object) -> object:
        at: cython.Py_ssize_t
        i: cython.Py_ssize_t
        if isinstance(index, slice):
            chosen: object = range(*index.indices(self.n))
            return tuple([self.item(i) for i in chosen])
        at = index
        if at < 0:
            at += self.n
        if not 0 <= at < self.n:
            raise IndexError(f"item {index} of {self.n}")
        return self.item(at)

    def __eq__(self, other: object) -> object:
        return tuple(self) == tuple(other) if isinstance(other, (Items, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def index(self, item: object) -> int:
        """Where the first item is that is equal to this one. ValueError where there is none."""
        return tuple(self).index(item)

    def count(self, item: object) -> int:
        """How many items are equal to this one."""
        return tuple(self).count(item)

    def __reduce__(self) -> tuple:
        return type(self).of, (tuple(self),)

    def __repr__(self) -> str:
        return repr(tuple(self))


@cython.cclass
class Functions(Items):
    """The functions that a module defines."""

    @staticmethod
    def of(items: object) -> Functions:
        """A sequence of these functions; itself where it is one."""
        i: uint32_t
        made: Functions
        if isinstance(items, Functions):
            return items
        functions: tuple = tuple(items)
        made = Functions.__new__(Functions)
        made.reserve(len(functions))
        for i in range(made.n):
            function = functions[i]
            made.records[i].type_index = function.type_index
            made.body(i, function.start, function.end, made.n_runs)
            for count, type_ in function.locals:
                made.run(count, type_)
        made.records[made.n].first_run = made.n_runs
        return made

    def __cinit__(self):
        self.reserve(0)

    def __dealloc__(self):
        free(self.records)
        free(self.runs)

    def reserve(self, count):
        """Become so many functions, of type 0 and without bodies."""
        free(self.records)
        self.n = 0
        self.records = cython.NULL
        self.records = cython.cast(cython.pointer(FunctionRecord), records_for(count, cython.sizeof(FunctionRecord)))
        self.n = count
        return 0

    def body(self, index, start, end, first_run):
        """Where a function's instructions lie, and its runs of locals begin: those of the next one end them."""
        self.records[index].start = start
        self.records[index].end = end
        self.records[index].first_run = first_run
        return 0

    def run(self, count, type):
        """One more run of locals."""
        vec_room(self.runs, self.cap_runs, self.n_runs + 1)
        self.runs[self.n_runs].count = count
        self.runs[self.n_runs].type = type
        self.n_runs += 1
        return 0

    def item(self, index):
        """A ``Function``."""
        k: uint32_t
        at: cython.pointer(FunctionRecord) = cython.address(self.records[index])
        last: uint32_t = self.records[index + 1].first_run
        runs: tuple = ()
        if at.first_run < last:
            runs = tuple([(self.runs[k].count, self.runs[k].type) for k in range(at.first_run, last)])
        return new_function(at.type_index, at.start, at.end, runs)

    def type_indices(self) -> tuple:
        """The type of each."""
        i: uint32_t
        return tuple([self.records[i].type_index for i in range(self.n)])

    def local_types(self) -> set:
        """The types that their locals have."""
        i: uint32_t
        last: uint32_t = 0
        found: set = set()
        for i in range(self.n_runs):
            breathe(i)
            if i == 0 or self.runs[i].type != last:
                last = self.runs[i].type
                found.add(last)
        return found

    def code_bytes(self) -> int:
        """Bytes of the instructions of all."""
        i: uint32_t
        total: uint64_t = 0
        for i in range(self.n):
            total += self.records[i].end - self.records[i].start
        return total


@cython.cclass
class Datas(Items):
    """The data segments of a module."""

    @staticmethod
    def of(items: object) -> Datas:
        """A sequence of these segments; itself where it is one."""
        i: uint32_t
        made: Datas
        at: cython.pointer(DataRecord)
        if isinstance(items, Datas):
            return items
        segments: tuple = tuple(items)
        made = Datas.__new__(Datas)
        made.made = segments
        made.reserve(len(segments))
        for i in range(made.n):
            segment = segments[i]
            at = cython.address(made.records[i])
            at.start, at.end, at.memory = segment.start, segment.end, segment.memory
            if segment.mode == "active":
                at.kind = DATA_COMPUTED
                place: object = segment.offset.lone_i32
                if place is not None:
                    at.kind = DATA_PLAIN
                    at.place = place
                else:
                    place = wide_place(segment.offset.code)
                    if place is not None:
                        at.kind = DATA_WIDE
                        at.place = place
        return made

    def __cinit__(self):
        self.reserve(0)

    def __dealloc__(self):
        free(self.records)

    def reserve(self, count):
        """Become so many segments, passive and empty."""
        free(self.records)
        self.n = 0
        self.records = cython.NULL
        self.records = cython.cast(cython.pointer(DataRecord), records_for(count, cython.sizeof(DataRecord)))
        self.n = count
        return 0

    def item(self, index):
        """A ``Data``."""
        at: cython.pointer(DataRecord) = cython.address(self.records[index])
        offset: object = None
        if self.made is not None:
            return self.made[index]
        if at.kind != DATA_PASSIVE:
            if self.rest is not None:
                self.rest.need(at.first, at.last)
            offset = new_const(self.binary[at.first : at.last], at.first, at.place if at.kind == DATA_PLAIN else None)
        return new_data("passive" if at.kind == DATA_PASSIVE else "active", at.start, at.end, at.memory, offset)

    def not_plain(self) -> list:
        """The numbers of those that are active and do not go to a constant place in the first memory."""
        i: uint32_t
        return [
            i
            for i in range(self.n)
            if self.records[i].kind == DATA_COMPUTED
            or self.records[i].kind == DATA_WIDE
            or (self.records[i].kind == DATA_PLAIN and self.records[i].memory)
        ]

    def leading(self, sizes: list) -> int:
        """How many of the first segments are passive, or surely fit where they go without evaluation: ``sizes`` has the
        bytes that each memory begins with, -1 for one that is not to be counted on."""
        i: uint32_t
        at: cython.pointer(DataRecord)
        memory: uint32_t = 0
        room: object = sizes[0] if sizes else -1
        most: uint64_t = min(max(room, 0), FARTHEST)
        for i in range(self.n):
            breathe(i)
            at = cython.address(self.records[i])
            if at.kind == DATA_PASSIVE:
                continue
            if is_placed(at) and at.memory != memory:
                memory = at.memory
                room = sizes[memory]
                most = min(max(room, 0), FARTHEST)
            if not is_placed(at) or room < 0 or cython.cast(uint64_t, at.place) + (at.end - at.start) > most:
                return i
        return self.n

    def lay_out(
        self, binary: bytes, memory: uint32_t, count: uint32_t, page: uint32_t, gap: uint32_t, most: uint64_t
    ) -> list:
        """What the pages of a memory hold after the first ``count`` segments, of which ``leading`` is true.

        Returns:
            (offset, content) of runs of pages of so many bytes. Between two runs lie more than ``gap`` pages without
            data; shorter gaps are in the runs, as zeros. Nothing where there are more than ``most`` bytes.
        """
        layout: Layout = Layout.__new__(Layout)
        layout.begin(self, memory, min(count, self.n), page)
        if layout.find_runs(gap) > most:
            return []
        layout.make_runs()
        layout.write(cython.cast(bytes_t, PyBytes_AS_STRING(binary)))
        return list(zip(layout.starts, layout.contents, strict=True))


@cython.auto_pickle(False)  # it has memory of its own
@cython.cclass
class Layout:
    """The pages of one memory while they are written."""

    datas: Datas
    memory: uint32_t
    count: uint32_t
    page: uint64_t
    n_pages: uint64_t  # up to the last that is written to
    written: cython.pointer(uint8_t)  # by page: whether it is
    starts: list
    sizes: list
    contents: list

    def __dealloc__(self):
        free(self.written)

    @cython.cfunc
    @cython.exceptval(-1)
    def begin(self, datas: Datas, memory: uint32_t, count: uint32_t, page: uint32_t) -> cython.int:
        """Find out which pages are written to."""
        i: uint32_t
        end: uint64_t = 0
        at: cython.pointer(DataRecord)
        self.datas, self.memory, self.count, self.page = datas, memory, count, page
        for i in range(count):
            if self.writes(i):
                end = max(end, self.end(i))
        self.n_pages = (end + page - 1) // page
        self.written = cython.cast(cython.pointer(uint8_t), records_for(self.n_pages, 1))
        for i in range(count):
            breathe(i)
            if self.writes(i):
                at = cython.address(datas.records[i])
                memset(self.written + at.place // page, 1, (self.end(i) - 1) // page - at.place // page + 1)
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def writes(self, index: uint32_t) -> cython.bint:
        """Whether a segment writes to the memory."""
        at: cython.pointer(DataRecord) = cython.address(self.datas.records[index])
        return is_placed(at) and at.memory == self.memory and at.end > at.start

    @cython.cfunc
    @cython.exceptval(check=False)
    def end(self, index: uint32_t) -> uint64_t:
        """Where a segment ends in the memory."""
        at: cython.pointer(DataRecord) = cython.address(self.datas.records[index])
        return cython.cast(uint64_t, at.place) + (at.end - at.start)

    @cython.cfunc
    def find_runs(self, gap: uint64_t) -> uint64_t:
        """Neighbouring pages together: where runs begin and how long they are. Returns the bytes of all."""
        i: uint64_t
        first: uint64_t = 0
        behind: uint64_t = 0  # the last page of the run; 0 before the first run
        total: uint64_t = 0
        self.starts, self.sizes = [], []
        for i in range(self.n_pages + 1):
            if i < self.n_pages and not self.written[i]:
                continue
            if behind and (i == self.n_pages or i - behind > gap):
                self.starts.append(first * self.page)
                self.sizes.append((behind - first) * self.page)
                total += (behind - first) * self.page
                behind = 0
            if not behind:
                first = i
            behind = i + 1
        return total

    @cython.cfunc
    @cython.exceptval(-1)
    def make_runs(self) -> cython.int:
        """The runs, full of zeros."""
        self.contents = []
        for size in self.sizes:
            self.contents.append(bytes(size))
            check()
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def run_at(self, place: uint64_t) -> cython.Py_ssize_t:
        """The run that holds a place."""
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = len(self.starts)
        middle: cython.Py_ssize_t
        while high - low > 1:
            middle = (low + high) >> 1
            if self.starts[middle] <= place:
                low = middle
            else:
                high = middle
        return low

    @cython.cfunc
    @cython.exceptval(-1)
    def write(self, binary: bytes_t) -> cython.int:
        """Copy the segments in their order."""
        i: uint32_t
        at: cython.pointer(DataRecord)
        start: uint64_t = 0
        end: uint64_t = 0
        to: cython.p_char = cython.NULL
        for i in range(self.count):
            if not self.writes(i):
                continue
            breathe(i)
            at = cython.address(self.datas.records[i])
            if not start <= at.place < end:
                run: cython.Py_ssize_t = self.run_at(at.place)
                start = self.starts[run]
                end = start + cython.cast(uint64_t, len(self.contents[run]))
                to = PyBytes_AS_STRING(self.contents[run])  # nobody else has seen it yet
            memcpy(to + (at.place - start), binary + at.start, at.end - at.start)
        return 0
