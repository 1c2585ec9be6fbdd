"""The sections of a binary, read without judging what is in them: for tools that look at files that cannot run."""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.errors import DecodeError, ModuleError
from stratavm.base.forms import Final, dataclass
from stratavm.base.leb import read_uleb
from stratavm.module.model import Module

HEADER_BYTES: Final = 8
MAGIC: Final = b"\0asm"
CUSTOM: Final = 0
MODULE_SECTIONS: Final = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data",
    "data count", "tag",
)  # fmt: skip
COMPONENT_SECTIONS: Final = (
    "custom", "core module", "core instance", "core type", "component", "instance", "alias", "type", "canon", "start",
    "import", "export", "value",
)  # fmt: skip
"""Kinds of sections by their number."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section: ``start`` is where its id stands, ``content`` where what it says begins, ``end`` is behind it.

    A custom section has a ``name``, and its content begins behind that.
    """

    number: int
    start: int
    content: int
    end: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """Sections in their order, as far as they can be told apart; ``damage`` says what stopped it."""

    is_component: bool
    sections: tuple[Section, ...]
    damage: DecodeError | None = None

    def title(self, section: Section) -> str:
        """What kind of section it is."""
        kinds = COMPONENT_SECTIONS if self.is_component else MODULE_SECTIONS
        return kinds[section.number] if section.number < len(kinds) else f"unknown ({section.number})"


def is_component(binary: bytes) -> bool:
    """Whether it has the header of a component (its layer is 1) and not of a core module."""
    return binary[:4] == MAGIC and binary[6:HEADER_BYTES] == b"\1\0"


def outline(binary: bytes) -> Outline:
    """Find the sections of a module or a component.

    Raises:
        DecodeError: it is neither.
    """
    if binary[:4] != MAGIC or len(binary) < HEADER_BYTES:
        raise DecodeError("not a WebAssembly binary", expected="00 61 73 6d", found=binary[:4].hex(" ") or "nothing")
    sections: list[Section] = []
    damage, at = None, HEADER_BYTES
    try:
        while at < len(binary):
            section = _section(binary, at)
            sections.append(section)
            at = section.end
    except DecodeError as error:
        damage = error
    return Outline(is_component(binary), tuple(sections), damage)


def _section(binary: bytes, start: int) -> Section:
    """The section whose id is at ``start``."""
    size, content = read_uleb(binary, start + 1)
    end = content + size
    if end > len(binary):
        raise DecodeError(
            "section is cut off", offset=start, expected=f"{size} bytes", found=f"{len(binary) - content}"
        )
    if binary[start] != CUSTOM:
        return Section(binary[start], start, content, end)
    length, text = read_uleb(binary, content)
    if text + length > end:
        raise DecodeError("section's name is cut off", offset=text, expected=f"{length} bytes", found=f"{end - text}")
    return Section(CUSTOM, start, text + length, end, binary[text : text + length].decode(errors="replace"))


def without(binary: bytes, unwanted: Callable[[Section], bool]) -> bytes:
    """The binary without some of its sections; the others stay as they are, byte by byte.

    Raises:
        DecodeError: it is not WebAssembly, or damaged.
    """
    found = outline(binary)
    if found.damage is not None:
        raise found.damage
    kept = [binary[s.start : s.end] for s in found.sections if not unwanted(s)]
    return binary[:HEADER_BYTES] + b"".join(kept)


def salvage(binary: bytes, decode: Callable[[bytes], Module]) -> Module:
    """What can be decoded of the types, imports, exports and custom sections of a module that is damaged elsewhere.

    Offsets in it are not those of the binary.
    """
    sections = [s for s in outline(binary).sections if s.number in (0, 1, 2, 7)]
    for wanted in ((0, 1, 2, 7), (1, 2, 7), (1, 2), (7,)):
        parts = [binary[s.start : s.end] for s in sections if s.number in wanted]
        try:
            return decode(binary[:HEADER_BYTES] + b"".join(parts))
        except ModuleError:
            continue
    return Module(binary)
