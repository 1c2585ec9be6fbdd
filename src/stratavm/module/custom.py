"""Well-known custom sections as data: what made a module, and what it says it uses.

They are advice. A section that is broken yields what could be read before the damage, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from stratavm.base.errors import DecodeError
from stratavm.base.forms import Final
from stratavm.base.leb import read_uleb
from stratavm.module.encode import SECTION_ORDER
from stratavm.module.instructions import read_instructions
from stratavm.module.model import Module
from stratavm.module.parser_annotations import BRANCH_HINT, HINTED, hint_section

CODE: Final = 10
"""The id of the code section."""
POLICIES: Final[Mapping[str, str]] = {"+": "used", "-": "disallowed", "=": "required"}


class _Cursor:
    """A position in a section's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self) -> int:
        value, self.at = read_uleb(self.data, self.at)
        return value

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise DecodeError("unexpected end", offset=self.at)
        self.at += 1
        return self.data[self.at - 1]

    def name(self) -> str:
        size = self.number()
        if size > len(self.data) - self.at:
            raise DecodeError("unexpected end", offset=self.at)
        self.at += size
        try:
            return self.data[self.at - size : self.at].decode()
        except UnicodeDecodeError:
            raise DecodeError("malformed UTF-8 encoding", offset=self.at) from None


def section(module: Module, name: str) -> bytes:
    """The content of the first custom section of a name; empty where there is none."""
    return next((bytes(c.data) for c in module.customs if c.name == name), b"")


def producers(module: Module) -> dict[str, dict[str, str]]:
    """The ``producers`` section: version by name, by field (``language``, ``processed-by``, ``sdk``)."""
    cursor, found = _Cursor(section(module, "producers")), dict[str, dict[str, str]]()
    with suppress(DecodeError):  # what was read before the damage is what there is
        for _ in range(cursor.number()):
            values = found.setdefault(cursor.name(), {})
            for _ in range(cursor.number()):
                name = cursor.name()
                values[name] = cursor.name()
    return found


def target_features(module: Module) -> dict[str, str]:
    """The ``target_features`` section: ``used``, ``disallowed`` or ``required`` by the tool-chain's feature name."""
    cursor, found = _Cursor(section(module, "target_features")), dict[str, str]()
    with suppress(DecodeError):
        for _ in range(cursor.number()):
            policy = POLICIES.get(chr(cursor.byte()))
            name = cursor.name()
            if policy is not None:
                found[name] = policy
    return found


def branch_hints(module: Module) -> dict[int, dict[int, bool]]:
    """The ``metadata.code.branch_hint`` section: whether a branch is likely, by its offset in the binary, by function
    index. Of functions that there are not, nothing."""
    cursor, found = _Cursor(section(module, BRANCH_HINT)), dict[int, dict[int, bool]]()
    bodies = _bodies(module) if cursor.data else []
    first = len(module.imported_funcs)
    with suppress(DecodeError):
        for _ in range(cursor.number()):
            index = cursor.number()
            hints = dict[int, bool]()
            if 0 <= index - first < len(bodies):
                found[index] = hints
            for _ in range(cursor.number()):
                at, size = cursor.number(), cursor.number()
                likely = cursor.byte()
                if size != 1 or likely > 1:
                    return found
                if 0 <= index - first < len(bodies):
                    hints[bodies[index - first] + at] = likely == 1
    return found


def spoken_hints(module: Module) -> dict[int, dict[int, bool]]:
    """Branch hints that annotations of a text say as they are: all that there are, or none where one is odd."""
    customs = [custom for custom in module.customs if custom.name == BRANCH_HINT]
    if len(customs) != 1 or SECTION_ORDER.index(customs[0].after or SECTION_ORDER[0]) >= SECTION_ORDER.index(CODE):
        return {}
    found, bodies, first = branch_hints(module), _bodies(module), len(module.imported_funcs)
    for index, hints in found.items():
        function = module.functions[index - first]
        rows = read_instructions(module.binary, function.start, function.end)
        if not hints or not hints.keys() <= {i.offset for i in rows if i.row.mnemonic in HINTED}:
            return {}
    relative = {
        i: [(at - bodies[i - first], int(likely)) for at, likely in sorted(h.items())] for i, h in found.items()
    }
    return found if hint_section(relative).data == bytes(customs[0].data) else {}


def _bodies(module: Module) -> list[int]:
    """Where the entries of the code section begin: their locals, which stand before the instructions."""
    data, at, starts = module.binary, 8, list[int]()
    while at < len(data):
        kind = data[at]
        size, at = read_uleb(data, at + 1)
        if kind == CODE:
            count, at = read_uleb(data, at)
            for _ in range(count):
                size, at = read_uleb(data, at)
                starts.append(at)
                at += size
            break
        at += size
    return starts
