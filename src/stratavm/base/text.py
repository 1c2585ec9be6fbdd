"""Text that a module or a file system chose, made safe to show. Names stay raw as data; this is the way to paper."""

from __future__ import annotations

from stratavm.base.forms import Final

LONGEST: Final = 1000
"""Characters of a name that are shown: it may be as long as the module."""

_IGNORED: Final = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
)  # fmt: skip
"""What Python calls printable and no screen shows: Default_Ignorable_Code_Point outside of general category C."""


def printable(text: str, most: int = LONGEST) -> str:
    """``text`` with everything that acts on a terminal, reorders, breaks lines or is invisible as an escape.

    Those are the C0 and C1 controls, bidirectional and zero-width characters, separators other than the space, lone
    surrogates and unassigned characters: ``\\x1b``, ``\\u202e``, ``\\udcff``, ``\\U000e0001``. After ``most``
    characters it says how many are left out.
    """
    if len(text) > most:
        return f"{printable(text[:most], most)}… ({len(text) - most} more)"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if is_visible(c) else escape(c) for c in text)


def is_visible(character: str) -> bool:
    """Whether a character shows as itself and does nothing else."""
    code = ord(character)
    return character.isprintable() and (code < 0x300 or not any(low <= code <= high for low, high in _IGNORED))


def escape(character: str) -> str:
    """A character as Python would write it in a string: ``\\x1b``."""
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def utf8(text: str, what: str, errors: str = "strict") -> bytes:
    """UTF-8; ValueError, with what it was meant for, where there is none."""
    try:
        return text.encode(errors=errors)
    except UnicodeEncodeError:
        raise ValueError(f"{what} is no text: UTF-8 cannot say {text!r:.60}") from None
