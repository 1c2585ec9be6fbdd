"""Whether the code of an image may run. Machine code cannot be checked: what runs was made by who may make us run it.

That is this user, by the key of the code cache, or whom the caller says. Owner and rights of a file say nothing:
linkers make every binary executable, archives keep that, and a guest that may write to a folder writes files of its
user.
"""

from __future__ import annotations

import os
import stat

from stratavm.aot.container import Damaged, Image, Key
from stratavm.aot.contents import BINARY
from stratavm.base.forms import Final, dataclass, replace
from stratavm.base.text import printable
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
    """

    key: bytes | None = None
    trusted: bool = False


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


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """A key from a file that somebody names: its bytes as they are.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no key, or others may read or change it: they could make code that runs here.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        now = os.fstat(number)
        content = os.read(number, LONGEST_KEY + 1) if stat.S_ISREG(now.st_mode) else b""
    finally:
        os.close(number)
    wrong = ""
    if not stat.S_ISREG(now.st_mode):
        wrong = "is no ordinary file"
    elif now.st_uid not in (os.geteuid(), 0):
        wrong = f"belongs to user {now.st_uid}, who could change it"
    elif now.st_mode & 0o077:
        wrong = f"is open to others (mode {stat.S_IMODE(now.st_mode):04o}): chmod 600 it"
    elif not SHORTEST_KEY <= now.st_size <= LONGEST_KEY or len(content) != now.st_size:
        wrong = f"has {now.st_size} bytes; a key has {SHORTEST_KEY} to {LONGEST_KEY}"
    if wrong:
        raise ValueError(f"the key file {printable(os.fspath(path))} {wrong}")
    return content


def user_key(*, make: bool = False) -> tuple[bytes | None, str]:
    """This user's key, or None and why there is none. ``make``: one is made where there is none yet."""
    try:
        folder = default_folders()[1]
        if not make and not os.path.lexists(os.path.join(folder, KEY_FILE)):
            return None, "this user has no key"
        return read_key(folder), ""
    except CacheRefused as error:
        return None, str(error)


def with_own_key(image: Image) -> Image:
    """The image, with this user's key if its mark is by that: then its sections are checked by it."""
    key = user_key()[0] if image.is_marked else None
    maker = None if key is None else Key(key)
    return image if maker is None or not image.is_marked_by(maker) else replace(image, key=maker)


def believed(image: Image, binary: bytes | None, trust: Trust) -> tuple[Image, str]:
    """The image, with the key that counts, and why its code must not run; empty where it may.

    Args:
        image: as ``with_own_key`` gave it; ``binary`` is what it has as such, checked by that key or by its sum, or
            None where it will be asked of the image that is given back.
        trust: what the caller says.
    """
    if trust.key is None:
        return image, "" if trust.trusted or image.key is not None else _not_own(image)
    maker = Key(trust.key)
    if not image.is_marked_by(maker):
        return image, "" if trust.trusted else "its mark is not by the key that was given"
    found = replace(image, key=maker)
    try:
        if binary is not None:
            found.check(BINARY, binary)
    except Damaged as error:
        return found, str(error)
    return found, ""


def _not_own(image: Image) -> str:
    """Why an image is not this user's."""
    if not image.is_marked:
        return "it has no mark"
    return user_key()[1] or "its mark is not by this user's key"
