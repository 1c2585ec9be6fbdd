"""Well-known custom sections as data: what made a module, and what it says it uses.

They are advice. A section that is broken yields what could be read before the damage, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from stratavm.base.errors import DecodeError
from stratavm.base.forms import Final
from stratavm.base.leb import read_uleb
from stratavm.module.model import Module

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
