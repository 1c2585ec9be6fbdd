"""Whether the code of an image may run. Machine code cannot be checked: what runs was made by who may make us run it.

By default that is this user, by the key of the code cache. A file may also be trusted as a program is; it is named by
the caller then, and executable, which nothing is that was only downloaded.
"""

from __future__ import annotations

import os
import stat

from stratavm.aot.container import Image
from stratavm.base.forms import Final, dataclass
from stratavm.services.diskcache import KEY_FILE, CacheRefused, default_folders, read_key

SHORTEST_KEY: Final = 16
LONGEST_KEY: Final = 64
"""Bytes that BLAKE2b takes."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a caller says of an image.

    Attributes:
        key: it counts if its mark is by this key, and by no other; None: by this user's.
        trusted: it counts whoever made it.
        named: the caller named its file: it counts if that is trusted as a program is.
    """

    key: bytes | None = None
    trusted: bool = False
    named: bool = False


NOTHING: Final = Trust()


def checked_key(key: object) -> bytes | None:
    """A key that a caller passed.

    Raises:
        TypeError, ValueError: it is none.
    """
    if key is None:
        return None
    if not isinstance(key, (bytes, bytearray, memoryview)):
        raise TypeError(f"key must be bytes or None, got {type(key).__name__}")
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(f"key must have {SHORTEST_KEY} to {LONGEST_KEY} bytes, got {len(key)}")
    return bytes(key)


def user_key(*, make: bool = False) -> tuple[bytes | None, str]:
    """This user's key, or None and why there is none. ``make``: one is made where there is none yet."""
    try:
        folder = default_folders()[1]
        if not make and not os.path.lexists(os.path.join(folder, KEY_FILE)):
            return None, "this user has no key"
        return read_key(folder), ""
    except CacheRefused as error:
        return None, str(error)


def why_not(image: Image, trust: Trust, file: os.stat_result | None) -> str:
    """Why the code of an image must not run; empty where it may.

    Args:
        file: what the kernel says of the file that it was read from, which did not change meanwhile.
    """
    if trust.trusted:
        return ""
    if trust.key is not None:
        return "" if image.is_marked_by(trust.key) else "its mark is not by the key that was given"
    key, no_key = user_key() if image.is_marked else (None, "it has no mark")
    if key is not None and image.is_marked_by(key):
        return ""
    unmarked = no_key or "its mark is not by this user's key"
    return f"{unmarked}, and {_fault(file)}" if trust.named and _fault(file) else "" if trust.named else unmarked


def _fault(file: os.stat_result | None) -> str:
    """Why a file is not trusted as a program is."""
    if file is None or not stat.S_ISREG(file.st_mode):
        return "it is not from a file that stayed the same"
    if file.st_uid not in (0, os.geteuid()):
        return f"its file belongs to user {file.st_uid}"
    if file.st_mode & 0o022:
        return f"others may write to its file (mode {stat.S_IMODE(file.st_mode):04o})"
    if not file.st_mode & 0o100:
        return "its file is not executable (chmod +x, if you trust it as a program)"
    return ""
