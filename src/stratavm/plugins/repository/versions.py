"""The order of versions: semantic versioning's precedence."""

from __future__ import annotations

from collections.abc import Iterable

from stratavm.base.forms import Any


def precedence(version: str) -> tuple[Any, ...]:
    """What versions are compared by; a pre-release comes before its release."""
    release, _, early = version.partition("-")
    numbers = tuple(map(int, release.split(".")))
    fields = tuple((0, int(f), "") if f.isdecimal() else (1, 0, f) for f in early.split(".")) if early else ()
    return (numbers, not early, fields)


def newest(versions: Iterable[str]) -> str | None:
    """The highest release; None where there are pre-releases at most, which somebody must name."""
    releases = [version for version in versions if "-" not in version]
    return max(releases, key=precedence, default=None)
