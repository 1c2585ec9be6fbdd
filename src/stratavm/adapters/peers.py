"""What adapters are given: the package that each adapts, or what it says where that is absent or another version than
it knows, and the interpreter.
"""

from __future__ import annotations

from stratavm.base.forms import Any, Final
from stratavm.sandbox import Python

WANTED: Final = {
    "smolagents": "smolagents==1.26.*",
    "mcp": "mcp>=2.3,<3",
    "pydantic_ai": "pydantic-ai-slim>=2.68,<3",
}
"""Adapters, and what pip is asked for; the extras of ``pyproject.toml`` say the same."""


def absent(adapter: str, error: ImportError) -> ImportError:
    """What the adapter's module raises."""
    wanted = WANTED[adapter]
    said = f"stratavm.adapters.{adapter} needs {wanted}: pip install '{wanted}' ({error})"
    return ImportError(said, name=error.name, path=error.path)


def python_of(given: Any) -> Python:
    """The interpreter that an adapter was given, or a plain one for None.

    Raises:
        TypeError: it is something else.
        GuestRefused: there is none.
    """
    if given is None:
        return Python()
    if not callable(getattr(given, "session", None)):
        raise TypeError(f"python must be a stratavm.sandbox.Python, got {given!r:.60}")
    return given  # type: ignore[no-any-return]
