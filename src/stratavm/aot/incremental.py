"""Which functions of a module have to be compiled again after an edit, by the bytes of both binaries.

The code of a function depends on its body, on what the other sections say, and at level 1 on the bodies of functions
that it calls and that are short enough to be looked at for inlining, and so on. Where any section that code depends on
differs, all is compiled again: then an index may mean something else. Names, other custom sections and the contents of
data segments are no such section.
"""

from __future__ import annotations

from collections.abc import Mapping

from stratavm.aot.mentions import callers
from stratavm.base.errors import DecodeError
from stratavm.base.forms import Final, dataclass
from stratavm.base.leb import read_uleb
from stratavm.module.outline import CUSTOM, MODULE_SECTIONS, Section, outline

CODE: Final = 10
DATA: Final = 11
LOOKED_AT: Final = 160
"""Bytes of instructions up to which a function is looked at for inlining (``ir/callees.py``)."""
LOCALS_BYTES: Final = 11
"""A run of locals takes no more than so many bytes: a count and a type."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs.

    Attributes:
        everything: why all has to be compiled; empty where only some of it.
        functions: why each of those has to be, by defined index.
    """

    everything: str = ""
    functions: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Parts:
    """A binary, taken apart: sections by number, where the body of each function lies with its locals, and how many
    data segments there are."""

    binary: bytes
    sections: Mapping[int, bytes]
    bodies: list[tuple[int, int]]
    datas: int

    def body(self, index: int) -> bytes:
        """A function's locals and instructions."""
        start, end = self.bodies[index]
        return self.binary[start:end]

    def is_looked_at(self, index: int) -> bool:
        """Whether the function may be inlined: surely not where this says so."""
        start, end = self.bodies[index]
        runs, at = read_uleb(self.binary, start)
        return end - at - LOCALS_BYTES * runs <= LOOKED_AT


def take_apart(binary: bytes) -> Parts:
    """The parts of a binary that was decoded before.

    Raises:
        DecodeError: it is damaged.
    """
    found = outline(binary)
    if found.damage is not None:
        raise found.damage
    sections: dict[int, bytes] = {}
    bodies: list[tuple[int, int]] = []
    datas = 0
    for section in found.sections:
        if section.number == CODE:
            bodies = _bodies(binary, section)
        elif section.number == DATA:
            datas = read_uleb(binary, section.content)[0]
        elif section.number != CUSTOM:
            sections[section.number] = binary[section.content : section.end]
    return Parts(binary, sections, bodies, datas)


def _bodies(binary: bytes, section: Section) -> list[tuple[int, int]]:
    found = []
    count, at = read_uleb(binary, section.content)
    for _ in range(count):
        size = binary[at]
        if size < 0x80:
            at += 1
        else:
            size, at = read_uleb(binary, at)
        found.append((at, at + size))
        at += size
    if at != section.end:
        raise DecodeError("the code section has another size", offset=section.start)
    return found


def changes(old: bytes, new: bytes, first: int, *, inlines: bool) -> Changes:
    """What has to be compiled of ``new`` where there is code of ``old``.

    Args:
        first: how many functions ``new`` imports: calls count them first.
        inlines: the code of a function may have others in it.

    Raises:
        DecodeError: one of them is damaged.
    """
    before, after = take_apart(old), take_apart(new)
    numbers = sorted(before.sections.keys() | after.sections.keys())
    differing = [MODULE_SECTIONS[n] for n in numbers if before.sections.get(n) != after.sections.get(n)]
    if len(before.bodies) != len(after.bodies):
        differing.append("number of functions")
    if before.datas != after.datas:
        differing.append("number of data segments")
    if differing:
        return Changes(everything=f"{', '.join(differing)}: no index need mean what it did")
    found = {i: "its body changed" for i in range(len(after.bodies)) if before.body(i) != after.body(i)}
    if inlines:
        _add_dependents(before, after, first, found)
    return Changes(functions=found)


def _add_dependents(before: Parts, after: Parts, first: int, found: dict[int, str]) -> None:
    """Add the functions that call a changed one that may be inlined, and those that call such a one in turn."""
    fresh = [i for i in found if before.is_looked_at(i) or after.is_looked_at(i)]
    while fresh:
        wanted, fresh = [first + i for i in fresh], []
        for caller, callee in callers(after.binary, after.bodies, wanted):
            if caller not in found:
                found[caller] = f"it calls function {callee}, which may be inlined and is compiled again"
                if after.is_looked_at(caller):
                    fresh.append(caller)
