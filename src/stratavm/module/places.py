"""Where in the binary an item outside of function bodies lies. Looked up only once an error is certain."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from stratavm.base.errors import ModuleError
from stratavm.base.forms import Final
from stratavm.module.decode import item_places
from stratavm.module.features import ALL
from stratavm.module.limits import Limits
from stratavm.module.model import ExternKind, Module

Item = tuple[str, int | None]
"""A kind of item and its place in its section: ``("export", 2)``; None where there is only one.

Types are counted one by one, also in groups."""

SECTIONS: Final = {
    "type": 1, "import": 2, "function": 3, "table": 4, "memory": 5, "global": 6, "export": 7, "start": 8,
    "element segment": 9, "data segment": 11, "data count": 12, "tag": 13,
}  # fmt: skip


def item_of(module: Module, kind: ExternKind, index: int) -> Item:
    """The item that made an entry of an index space: an import or a definition."""
    imported = [i for i, item in enumerate(module.imports) if item.kind == kind]
    if index < len(imported):
        return "import", imported[index]
    return "function" if kind == "func" else kind, index - len(imported)


def item_offset(module: Module, item: Item, limits: Limits) -> int:
    """The offset of an item in the binary; 0 where the module has no binary that can be read."""
    kind, index = item[0], item[1] or 0
    if kind == "type":  # the section has groups
        ends = list(accumulate(len(group.types) for group in module.rec_groups))
        index = bisect_right(ends, index)
    try:
        places = item_places(module.binary, ALL, limits)
    except ModuleError:
        return 0
    found = [offset for section, offset in places if section == SECTIONS[kind]]
    return found[index] if index < len(found) else 0
