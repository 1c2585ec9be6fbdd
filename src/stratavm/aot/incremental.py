"""Which functions of a module have to be compiled again after an edit, by the bytes of both binaries.

The code of a function depends on its body, on what the other sections say, and at level 1 on the bodies of functions
that it calls and that are short enough to be looked at for inlining, and so on. Where any section that code depends on
differs, all is compiled again: then an index may mean something else. Names, other custom sections and the contents of
data segments are no such section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stratavm.aot.mentions import callers, differing, sizes_up_to
from stratavm.base.forms import TYPE_CHECKING, Final, dataclass
from stratavm.base.leb import read_uleb
from stratavm.module.outline import CUSTOM, MODULE_SECTIONS, outline

if TYPE_CHECKING:
    from stratavm.module.sections import Functions

CODE: Final = 10
DATA: Final = 11
LOOKED_AT: Final = 160
"""Bytes of instructions up to which a function is looked at for inlining (``ir/callees.py``)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A binary that was found to be valid, and the functions that it defines."""

    binary: bytes
    functions: Functions


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs.

    Attributes:
        everything: why an index may mean something else; empty where all mean what they did.
        bodies: the defined indices of functions that have another body.
    """

    everything: str = ""
    bodies: tuple[int, ...] = ()


def changes(old: Parts, new: Parts) -> Changes:
    """What is another in ``new`` than it was in ``old``.

    Raises:
        DecodeError: one of them is damaged.
        ValueError: their functions are not theirs.
    """
    before, after = _sections(old.binary), _sections(new.binary)
    numbers = sorted(before.keys() | after.keys())
    different = [MODULE_SECTIONS[n] for n in numbers if before.get(n) != after.get(n)]
    if len(old.functions) != len(new.functions):
        different.append("number of functions")
    if different:
        return Changes(everything=f"{', '.join(different)}: an index may mean something else now")
    return Changes(bodies=tuple(differing(old.functions, old.binary, new.functions, new.binary)))


def _sections(binary: bytes) -> dict[int, bytes]:
    """What code depends on besides bodies, by the numbers of sections: of data segments only how many there are."""
    found = outline(binary)
    if found.damage is not None:
        raise found.damage
    sections: dict[int, bytes] = {}
    for section in found.sections:
        if section.number == DATA:
            sections[DATA] = str(read_uleb(binary, section.content)[0]).encode()
        elif section.number not in (CUSTOM, CODE):
            sections[section.number] = binary[section.content : section.end]
    return sections


def dependents(old: Functions, new: Parts, bodies: Sequence[int], first: int) -> Mapping[int, str]:
    """Why functions whose bodies did not change are compiled again, by defined index: they have a changed one in them,
    or may.

    Args:
        old: the functions of before.
        bodies: defined indices of those that changed.
        first: how many functions the module imports: calls count them first.
    """
    found: dict[int, str] = {}
    known = {*bodies}
    fresh = {*sizes_up_to(old, LOOKED_AT, bodies), *sizes_up_to(new.functions, LOOKED_AT, bodies)}
    while fresh:
        added = []
        for caller, callee in callers(new.binary, new.functions, [first + i for i in fresh]):
            if caller not in known:
                known.add(caller)
                added.append(caller)
                found[caller] = f"it calls function {callee}, which may be inlined and is compiled again"
        fresh = {*sizes_up_to(new.functions, LOOKED_AT, added)}
    return found
