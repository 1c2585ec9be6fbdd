"""Colours on a terminal, plain text elsewhere: the conventions ``NO_COLOR``, ``FORCE_COLOR``, ``CLICOLOR_FORCE``."""

from __future__ import annotations

import os

from stratavm.base.forms import Final, TextIO

STYLES: Final[dict[str, str]] = {"error": "1;31", "good": "32", "hint": "36", "title": "1", "quiet": "2"}
"""SGR parameters."""


def is_coloured(stream: TextIO | None) -> bool:
    """Whether to colour what goes to a stream.

    ``NO_COLOR`` (not empty) forbids it, then ``FORCE_COLOR`` and ``CLICOLOR_FORCE`` (not empty, not 0) ask for it;
    otherwise it is a matter of whether the stream is a terminal that can.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None) -> str:
    """The text in a style, where the stream shows it. What is painted must be printable already."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text and is_coloured(stream) else text
