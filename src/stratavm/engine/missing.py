"""An export that there is not. What is near is looked for when the error is shown: ``hasattr`` drops it."""

from __future__ import annotations

from collections.abc import Mapping

from stratavm.base.forms import Any
from stratavm.base.text import printable
from stratavm.base.words import did_you_mean, some


class _Missing(Exception):
    """Says which name there is not, which are near, or which there are."""

    def __init__(self, name: Any, known: Mapping[str, Any]) -> None:
        self.known = known
        super().__init__(name)

    def __str__(self) -> str:
        name = str(self.args[0])
        near = did_you_mean(name, self.known)
        return f"no export named '{printable(name)}'; {near or f'exports: {some(self.known)}'}"


class NoAttribute(_Missing, AttributeError):
    """``exports.name``."""


class NotSet(_Missing, AttributeError):
    """``exports.name = value``."""

    def __str__(self) -> str:
        name = str(self.args[0])
        if name not in self.known:
            return super().__str__()
        kind, _ = self.known[name]
        if kind == "global":
            return f"exports are not set: exports.{printable(name)}.value = … sets the global"
        return f"exports are not set: '{printable(name)}' is a {kind} of the instance"


class NoItem(_Missing, KeyError):
    """``exports["name"]``."""
