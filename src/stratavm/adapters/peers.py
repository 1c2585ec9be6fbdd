"""What an adapter says where the package that it adapts is absent, or another version than it knows."""

from __future__ import annotations

from stratavm.base.forms import Final

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
