"""What lies in the heap of a store's guests, by type: for people, and for programs."""

from __future__ import annotations

from stratavm.base.errors import StoreBusy
from stratavm.base.forms import TYPE_CHECKING, Any, dataclass
from stratavm.base.numbers import truth
from stratavm.base.words import amount
from stratavm.engine.guestobjects import rows_of
from stratavm.heap.verify import census

if TYPE_CHECKING:
    from stratavm.engine.store import Store


@dataclass(frozen=True, slots=True)
class HeapType:
    """A type of structs or arrays, as data that no engine holds: ``Module.object_type`` has the type itself.

    Attributes:
        name: what its module's name section calls it; empty where it does not.
        index: its index in that module.
        is_array: whether its objects are arrays; else they are structs.
        title: what messages call it.
    """

    name: str
    index: int
    is_array: bool
    title: str


@dataclass(frozen=True, slots=True)
class HeapRow:
    """What a heap has of one type.

    Attributes:
        type: the type.
        objects: how many objects of it there are, of no type below it.
        bytes: what they take, with their headers and what rounds them up to 16.
    """

    type: HeapType
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class HeapDump:
    """What lay in a heap at one moment (``Store.heap_dump``). ``str`` of it is a table.

    Attributes:
        rows: a row for each type, what takes most bytes first.
        used_bytes: bytes of the blocks that are in use: what ``StoreLimits.total_bytes`` counts.
    """

    rows: tuple[HeapRow, ...]
    used_bytes: int

    @property
    def objects(self) -> int:
        """How many objects there are."""
        return sum(row.objects for row in self.rows)

    @property
    def bytes(self) -> int:
        """What they take together."""
        return sum(row.bytes for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Texts and numbers, for JSON."""
        rows = [
            {
                "type": row.type.name,
                "index": row.type.index,
                "kind": "array" if row.type.is_array else "struct",
                "objects": row.objects,
                "bytes": row.bytes,
            }
            for row in self.rows
        ]
        return {"objects": self.objects, "bytes": self.bytes, "used_bytes": self.used_bytes, "types": rows}

    def __str__(self) -> str:
        lines = [f"{self.objects:,} objects, {amount(self.bytes)}; {amount(self.used_bytes)} of blocks in use"]
        if self.rows:
            lines.append(f"{'objects':>12} {'bytes':>14}  type")
        lines += [f"{row.objects:>12,} {row.bytes:>14,}  {row.type.title}" for row in self.rows]
        return "\n".join(lines)


def heap_dump(store: Store, collect: bool) -> HeapDump:
    """What ``Store.heap_dump`` gives."""
    if truth("collect", collect):
        try:
            store.gc()
        except StoreBusy as error:
            raise StoreBusy(f"{error}; heap_dump(collect=False) counts what is garbage, too") from None
    rows, used = rows_of(store, census)
    found = [
        HeapRow(HeapType(type.name, type.index, type.is_array, type.title), objects, size)
        for type, objects, size in rows
    ]
    return HeapDump(tuple(sorted(found, key=lambda row: (-row.bytes, row.type.index))), used)
