"""What the oracle needs of the objects it runs over. ``state.py`` has them in Python, ``runtime`` natively.

All values are raw bits in unsigned ints: i32 and i64 as they are, floats as IEEE bits, references as the store's own
non-zero numbers, 0 for null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from stratavm.base.errors import Trap
from stratavm.base.forms import Any, NamedTuple, Protocol, TypeAlias
from stratavm.heap.layout import Layout
from stratavm.module.model import Module
from stratavm.spec.types import FuncType


class MemoryLike(Protocol):
    """A linear memory. The oracle checks bounds against ``len`` before each access."""

    def __len__(self) -> int:
        """Bytes."""

    @property
    def size_pages(self) -> int:
        """Size in pages."""

    def read(self, address: int, count: int) -> bytes:
        """Copy bytes out; raises ``Trap("memory_out_of_bounds")``."""

    def put(self, address: int, data: bytes) -> None:
        """Copy bytes in, all or nothing; raises ``Trap("memory_out_of_bounds")``."""

    def extend(self, delta: int) -> int:
        """Grow by pages: the old size in pages, or -1."""


class TableLike(Protocol):
    """A table of raw references. The oracle checks bounds against ``len`` before each access."""

    def __len__(self) -> int:
        """Elements."""

    def get(self, index: int) -> int:
        """An element; raises ``Trap("table_out_of_bounds")``."""

    def set(self, index: int, raw: int) -> None:
        """Set an element; raises ``Trap("table_out_of_bounds")``."""

    def fits(self, delta: int) -> bool:
        """Whether the maximum allows so many more elements."""

    def extend(self, delta: int, raw: int) -> int:
        """Grow by elements: the old size, or -1."""


class GlobalLike(Protocol):
    """A global variable."""

    bits: int


class Callee(Protocol):
    """A function as seen by a caller."""

    @property
    def type(self) -> FuncType:
        """Its type."""

    @property
    def guest(self) -> tuple[InstanceLike, int] | None:
        """Instance and index among its defined functions if the oracle shall run it; else None: ``call_by_guest``."""

    def call_by_guest(self, args: list[int], run: Run) -> list[int]:
        """Call it on behalf of a guest, from raw bits to raw bits. The run waits from when it is known what these refer
        to until the results are there."""


class Run(Protocol):
    """Frames that hold raw values."""

    waits: bool
    """Whether they hold all that they have: where a step is under way, it may have some elsewhere."""
    results: Sequence[int]
    """Raw results, once it has ended."""

    def held_handles(self) -> set[int]:
        """The raw values, references and others."""


class InstanceLike(Protocol):
    """An instance; index spaces list imports first."""

    oracle: Any
    """A place for the oracle's own data; None until the oracle is attached."""

    @property
    def model(self) -> Module:
        """The module."""

    @property
    def memories(self) -> Sequence[MemoryLike]:
        """The memory index space."""

    @property
    def tables(self) -> Sequence[TableLike]:
        """The table index space."""

    @property
    def globals(self) -> Sequence[GlobalLike]:
        """The global index space."""

    def callee(self, index: int) -> Callee:
        """A function by function index."""

    def resolve_func(self, raw: int) -> Callee:
        """The function that a non-null raw reference names."""

    def has_type(self, function: Any, type_index: int) -> bool:
        """Whether a function of any instance has the type at a type index of this one, or one below it."""

    def func_ref(self, index: int) -> int:
        """The raw reference to a function by function index."""

    def type_id(self, type_index: int) -> int:
        """The canonical id of the type at an index."""

    def is_below(self, type_id: int, type_index: int) -> bool:
        """Whether a canonical id is that of the type at an index, or of one below it."""

    def object_layout(self, type_index: int) -> Layout:
        """How objects of the type at an index lie."""

    def new_object(self, type_index: int, count: int = 0) -> int:
        """A reference to a new struct, or to an array of so many elements: zeros and nulls. What the guest has besides
        lies in its frames."""

    def type_of_object(self, raw: int) -> int:
        """The canonical id of the type of the object that a reference means; 0 where it means none of a guest's."""

    def failed_cast(self, raw: int, heap: int, nullable: bool) -> str:
        """What is said where a reference is not of a heap type, as the binary has that."""

    def length_of(self, raw: int) -> int:
        """How many elements an array has."""

    def load(self, raw: int, offset: int, size: int) -> int:
        """So many bytes of an object as a number."""

    def fill(self, raw: int, offset: int, size: int, count: int, bits: int) -> None:
        """Write so many bytes of an object so many times, one behind the other."""

    def write(self, raw: int, offset: int, data: bytes) -> None:
        """Write bytes of an object, which are whole values."""

    def move(self, raw: int, offset: int, source: int, start: int, size: int) -> None:
        """Copy so many bytes from one object to another one, or within it."""

    def tag_key(self, index: int) -> object:
        """What tells a tag from all others."""

    def exception(self, tag_index: int, raws: list[int]) -> BaseException:
        """A ``WasmException`` to raise, with raw values."""

    def caught(self, error: BaseException) -> tuple[object, list[int]] | None:
        """The tag's key and the raw values of a ``WasmException``; None for one that its guests may not catch."""

    def exn_ref(self, error: BaseException, run: Run) -> int:
        """The raw exnref to an exception that its guests may catch; others that no guest holds may go, while the run
        waits for it."""

    def begin_run(self, run: Run) -> None:
        """Frames begin to hold raw values; the innermost of those that have not ended."""

    def end_run(self, run: Run) -> None:
        """They hold none any more."""

    def exception_of(self, raw: int) -> BaseException:
        """The ``WasmException`` to raise for an exnref that is not null."""

    def data_segment(self, index: int) -> memoryview:
        """The bytes of a data segment; empty once dropped, which changes nothing of what was had before."""

    def drop_data(self, index: int) -> None:
        """Empty a data segment."""

    def elem_segment(self, index: int) -> memoryview:
        """The raw references of an element segment, each a number; empty once dropped, as ``data_segment``."""

    def drop_elem(self, index: int) -> None:
        """Empty an element segment."""

    def charge(self, units: int) -> None:
        """Take fuel where it is counted; raises ``OutOfFuel``, and takes none, if fewer units are left."""

    def poll(self) -> None:
        """Called now and then while guest code runs; may raise to stop it."""


class Tail(NamedTuple):
    """A function that is called in the place of the one that runs."""

    callee: Callee


class Thrown(NamedTuple):
    """A step has thrown an exception."""

    error: BaseException


Step: TypeAlias = Callable[[list[int], list[int]], "int | Callee | Tail | Thrown | None"]
"""An operation bound to an instance: it gets the operand stack and the locals of its frame (``bind.py``)."""


def within(memory: MemoryLike, address: int, count: int) -> None:
    """Trap unless a range lies inside of a memory."""
    if address + count > len(memory):
        detail = f"{count} bytes at {address:#x}, the memory has {len(memory):#x}"
        raise Trap("memory_out_of_bounds", detail=detail)


def parts(instance: InstanceLike, count: int, size: int, backwards: bool = False) -> Iterator[tuple[int, int]]:
    """(offset, length) of the parts of a bulk operation, the last first if ``backwards``, with a poll between two."""
    starts = range(0, count, size)
    for nth, at in enumerate(reversed(starts) if backwards else starts):
        if nth:
            instance.poll()
        yield at, min(size, count - at)
