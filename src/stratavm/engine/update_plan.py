"""What it takes to go on with another version of a module: a patch, or why it is none. Looks at modules alone."""

from __future__ import annotations

from stratavm.aot.incremental import Parts, dependents
from stratavm.aot.mentions import differing, is_equal
from stratavm.base.errors import StrataError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, dataclass
from stratavm.base.leb import read_uleb, uleb
from stratavm.base.text import printable
from stratavm.base.words import counted, some
from stratavm.module.outline import Section, outline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from stratavm.module.model import Module as Model

TYPES: Final = 1
FUNCTIONS: Final = 3
CODE: Final = 10
DATA_COUNT: Final = 12
HEADER_BYTES: Final = 8
SAME: Final[Mapping[int, str]] = {
    2: "imports", 4: "tables", 5: "memories", 6: "globals", 7: "exports", 8: "start function",
    9: "element segments", 11: "data segments", 13: "tags",
}  # fmt: skip
"""Sections that have to be the same, byte for byte, and what they say."""
GROWING: Final[Mapping[int, str]] = {TYPES: "types", FUNCTIONS: "functions"}
"""Sections that may say more behind what they said."""


@dataclass(frozen=True, slots=True)
class Update:
    """What an update of an instance does, has done, or would do. Functions are named by index, imported ones counted.

    Attributes:
        kind: ``"patch"``: functions get other code, and all state stays; ``"none"``: it is the same module;
            ``"swap"``: the new module needs another instance, which a ``LiveInstance`` makes.
        changed: functions with another body.
        added: functions that there were not.
        dependents: functions that may have a changed one inlined.
        unchanged: how many others there are.
        reasons: why it is no patch.
        obstacles: what stands against a swap as well; ``LiveInstance`` looks for that.
        carried: bytes of state that a swap has carried over.
        applied: whether it was done.
        seconds: from the source to the switch; ``pause_seconds``: so long the switch itself took.
        gone: functions that the new module does not have: frames of before may call them, and so they keep their
            places, which no others get.
    """

    kind: Literal["none", "patch", "swap"]
    changed: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    dependents: tuple[int, ...] = ()
    unchanged: int = 0
    reasons: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    carried: int = 0
    applied: bool = False
    seconds: float = 0.0
    pause_seconds: float = 0.0
    gone: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.kind == "none":
            return "nothing changed"
        if self.kind == "swap":
            said = f"no patch: {'; '.join(self.reasons)}"
            if self.applied:
                return f"another instance, {counted(self.carried, 'byte')} of state carried ({said})"
            return said + (f"; no swap: {'; '.join(self.obstacles)}" if self.obstacles else "")
        parts = [f"{counted(len(self.changed), 'function')} changed" + _listed(self.changed)]
        if self.added:
            parts.append(f"{len(self.added)} added")
        if self.dependents:
            parts.append(f"{len(self.dependents)} that may have one inlined")
        if self.gone:
            parts.append(f"{len(self.gone)} that {'are' if len(self.gone) > 1 else 'is'} gone")
        return ", ".join(parts)


class UpdateRefused(StrataError):
    """An instance cannot go on with another module, or not so; ``update`` says what is different, and why."""

    def __init__(self, update: Update, message: str) -> None:
        self.update = update
        super().__init__(printable(message))


def _listed(functions: tuple[int, ...]) -> str:
    return f" ({some([str(f) for f in functions])})" if functions else ""


def plan_of(old: Model, new: Model) -> Update:
    """What an update from a valid module to another one is, as far as that shows before the bodies of the new one were
    validated: whether tail calls leave it is known then (``leaves``)."""
    if old.binary == new.binary:
        return Update("none", unchanged=len(new.functions))
    reasons = _reasons(old, new)
    if reasons:
        return Update("swap", reasons=tuple(reasons))
    first, before, after = len(new.imported_funcs), len(old.functions), len(new.functions)
    bodies = differing(old.functions, old.binary, new.functions, new.binary, True)
    others = dependents(old.functions, Parts(new.binary, new.functions), bodies, first)
    return Update(
        "patch",
        changed=tuple([first + i for i in bodies]),
        added=tuple(range(first + before, first + after)),
        dependents=tuple(sorted([first + i for i in others if i < before])),
        unchanged=before - len(bodies) - len(others),
    )


def with_gone(old: Model, new: Model) -> bytes | None:
    """A new module that is what an old one was, but for types and functions at the end: with those, as they were.
    None: it lacks none, or has others in their places, or is no patch for other reasons."""
    before, after = _sections(old.binary), _sections(new.binary)
    if not all(number in before and number in after for number in (TYPES, FUNCTIONS, CODE)):
        return None
    if not all(_is_same(old, before, new, after, number) for number in SAME):
        return None  # bodies of the old one may name what the new one has not
    contents: dict[int, bytes] = {}
    for number in (TYPES, FUNCTIONS):
        count, begin = read_uleb(old.binary, before[number].content)
        fewer, start = read_uleb(new.binary, after[number].content)
        if fewer < count:
            if not old.binary.startswith(new.binary[start : after[number].end], begin, before[number].end):
                return None
            contents[number] = old.binary[before[number].content : before[number].end]
        elif not _begins_with(old, before, new, after, number):
            return None  # what is gone would have another type
    if FUNCTIONS in contents:
        _, start = read_uleb(new.binary, after[CODE].content)
        bodies = new.binary[start : after[CODE].end] + _bodies_from(old, before[CODE], len(new.functions))
        contents[CODE] = uleb(len(old.functions)) + bodies
    pieces, counts = [new.binary[:HEADER_BYTES]], DATA_COUNT in before and DATA_COUNT not in after
    for section in outline(new.binary).sections:
        content = contents.get(section.number)
        if section.number == DATA_COUNT and counts:
            continue  # it has one that counts none
        if section.number == CODE and counts:
            pieces.append(old.binary[before[DATA_COUNT].start : before[DATA_COUNT].end])  # for bodies that are gone
        whole = new.binary[section.start : section.end]
        pieces.append(whole if content is None else bytes([section.number]) + uleb(len(content)) + content)
    return b"".join(pieces) if contents else None


def _bodies_from(model: Model, code: Section, index: int) -> bytes:
    """The entries of a code section behind so many of them."""
    _, at = read_uleb(model.binary, code.content)
    for _ in range(index):
        size, at = read_uleb(model.binary, at)
        at += size
    return model.binary[at : code.end]


def leaves(model: Model) -> bool:
    """Whether tail calls leave a module, as far as its bodies were validated."""
    functions: Any = model.functions
    return bool(functions.leaves)


def _reasons(old: Model, new: Model) -> list[str]:
    """Why it is no patch."""
    before, after = _sections(old.binary), _sections(new.binary)
    found = [f"its {word} are not the same" for n, word in SAME.items() if not _is_same(old, before, new, after, n)]
    for number, word in GROWING.items():
        if not _begins_with(old, before, new, after, number):
            found.append(f"its {word} do not begin with those of before{_first_other(old, new, number)}")
    if not found and old.recorded_funcs != new.recorded_funcs:
        found.append("the functions that can be referenced are not the same")
    if not found and old.confines_funcs != new.confines_funcs:
        found.append("references to functions stay within one of the two, and not the other")
    if any(memory.limits.shared for memory in new.memory_types):
        found.append("its memory is shared: its threads have instances of their own, with the code of before")
    return found


def _first_other(old: Model, new: Model, number: int) -> str:
    """Which function is not there any more, or has another type."""
    if number != FUNCTIONS:
        return ""
    before, after = len(old.functions), len(new.functions)
    for index in range(min(before, after)):
        place = len(old.imported_funcs) + index
        if old.func_type(place) != new.func_type(place):
            return f": function {place} ({old.func_name(place)}) has another type"
    return f": there were {before}, and are {after}" if after < before else ""


def _sections(binary: bytes) -> dict[int, Section]:
    """The sections by number; custom ones do not count, nor do empty ones."""
    found = outline(binary)
    if found.damage is not None:
        raise found.damage
    return {s.number: s for s in found.sections if s.number and binary[s.content : s.end] != b"\0"}


def _is_same(old: Model, before: dict[int, Section], new: Model, after: dict[int, Section], number: int) -> bool:
    """Whether a section has the same bytes in both."""
    one, other = before.get(number), after.get(number)
    if one is None or other is None:
        return one is other
    size = one.end - one.content
    return size == other.end - other.content and is_equal(old.binary, one.content, new.binary, other.content, size)


def _begins_with(old: Model, before: dict[int, Section], new: Model, after: dict[int, Section], number: int) -> bool:
    """Whether a section says what it said, and perhaps more behind."""
    one, other = before.get(number), after.get(number)
    if one is None or other is None:
        return one is None
    count, begin = read_uleb(old.binary, one.content)
    more, start = read_uleb(new.binary, other.content)
    size = one.end - begin
    return more >= count and size <= other.end - start and is_equal(old.binary, begin, new.binary, start, size)
