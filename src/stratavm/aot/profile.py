"""Profiles: what ran much of one module, as a file that a later run or build may be given. Who counts is the tier.

A profile says where time is best spent on compiling; it changes no result. It is text, and nothing in it is believed: a
file is read up to a limit, each number is checked, and a sum at its end finds damage. Its lines:

* ``strata profile 1``, the form;
* ``module``, the digest of the binary (BLAKE2b, 32 bytes, ``b2sum -l 256``), and what it is called;
* a line for each function that had code, by index: index, calls, ticks, level, and offsets in the binary of its loops
  that ended at level 1, after commas;
* ``sum``, 16 bytes of BLAKE2b over all lines before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from stratavm.aot.files import write_whole
from stratavm.base.errors import StrataError
from stratavm.base.forms import Final, dataclass
from stratavm.base.text import printable

try:
    from _blake2 import blake2b  # without OpenSSL, which takes longer to load than all the rest
except ImportError:  # a Python that has it elsewhere
    from hashlib import blake2b

FORM: Final = 1
TITLE: Final = "strata profile "
MOST_BYTES: Final = 1 << 22
"""Of a file: two hundred thousand functions that ran; as long as that is read in a second whatever stands there."""
MOST_COUNT: Final = (1 << 32) - 1
"""Of calls and ticks that are counted."""
MOST_OFFSET: Final = (1 << 32) - 1
MOST_DIGITS: Final = 10
HOT_CALLS: Final = 1000
"""Calls that make a function hot, if neither a tick nor the tier that was asked has done so."""
DIGEST_BYTES: Final = 32
SUM_BYTES: Final = 16
AGAIN: Final = "make it again: strata run --profile-out FILE APP"


class ProfileError(StrataError):
    """A file is no profile, is damaged, or is of another module; the text says which."""

    def __init__(self, message: str, hint: str = AGAIN) -> None:
        self.hint = hint
        super().__init__(f"{message} (hint: {hint})" if hint else message)


@dataclass(frozen=True, slots=True)
class FunctionProfile:
    """What was seen of a function.

    Attributes:
        function: its index in the module.
        calls: that were seen while its code was of level 0; code of level 1 does not count.
        ticks: of five milliseconds that found it in such code.
        level: of its code at the end.
        loops: offsets in the binary of loops that went on at level 1.
    """

    function: int
    calls: int = 0
    ticks: int = 0
    level: int = 0
    loops: tuple[int, ...] = ()

    @property
    def is_hot(self) -> bool:
        """Whether code of level 1 is worth its while."""
        return self.level > 0 or self.ticks > 0 or bool(self.loops) or self.calls >= HOT_CALLS


@dataclass(frozen=True, slots=True)
class Profile:
    """What ran much of a module: ``Module.profile()``, or ``strata run --profile-out FILE``.

    Attributes:
        digest: BLAKE2b of the module's binary, 32 bytes, as hexadecimal text; the profile counts for that one alone.
        name: what the module was called.
        functions: those that had code, by index.
    """

    digest: str
    name: str
    functions: tuple[FunctionProfile, ...]

    @property
    def hot(self) -> tuple[int, ...]:
        """Indices of the functions that code of level 1 is made of, those first that ticks and calls found most."""
        found = sorted((f for f in self.functions if f.is_hot), key=lambda f: (-f.ticks, -f.calls, f.function))
        return tuple(f.function for f in found)

    def __repr__(self) -> str:
        return f"<Profile of {printable(self.name)}, functions: {len(self.functions)}, hot: {len(self.hot)}>"

    def check(self, binary: bytes, name: str = "module") -> None:
        """Raise ProfileError if it is of another binary; ``name`` says of which this one is."""
        here = digest_of(binary)
        if here != self.digest:
            raise ProfileError(
                f"the profile is of another module: {printable(self.name)} ({self.digest[:16]}…), "
                f"and {printable(name)} is {here[:16]}…"
            )

    @classmethod
    def parse(cls, data: bytes) -> Profile:
        """The profile that some bytes are.

        Raises:
            ProfileError: they are none, are damaged, or are of another form.
        """
        return _parse(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Profile:
        """The profile in a file.

        Raises:
            OSError: it cannot be read.
            ProfileError: as ``parse``; it names the file.
            TypeError: it is no path.
        """
        if not isinstance(path, (str, os.PathLike)):  # open takes a number for a descriptor, and closes that
            raise TypeError(f"path must be a path, got {path!r:.60}")
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        try:
            return _parse(data)
        except ProfileError as error:
            raise ProfileError(f"{printable(os.fsdecode(path))}: {error.args[0]}", "") from None

    def __bytes__(self) -> bytes:
        """As ``parse`` takes it; of very many functions, only those that are hot."""
        data = self._written(self.functions)
        return data if len(data) <= MOST_BYTES else self._written(f for f in self.functions if f.is_hot)

    def _written(self, functions: Iterable[FunctionProfile]) -> bytes:
        lines = [f"{TITLE}{FORM}", f"module {self.digest} {' '.join(printable(self.name).split())}"]
        lines += map(_line, functions)
        text = "".join(f"{line}\n" for line in lines).encode()
        return text + _sum_line(text)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which is whole whenever it is looked at.

        Raises:
            OSError: it cannot be written; what was there is there still.
        """
        write_whole(path, [bytes(self)])


def digest_of(binary: bytes) -> str:
    """What a profile knows its module by."""
    return blake2b(binary, digest_size=DIGEST_BYTES).hexdigest()


def _sum_line(text: bytes) -> bytes:
    return b"sum " + blake2b(text, digest_size=SUM_BYTES).hexdigest().encode() + b"\n"


def _line(f: FunctionProfile) -> str:
    loops = " " + ",".join(map(str, f.loops)) if f.loops else ""
    return f"{f.function} {f.calls} {f.ticks} {f.level}{loops}"


def _parse(data: bytes) -> Profile:
    if len(data) > MOST_BYTES:
        raise ProfileError(f"a profile of more than {MOST_BYTES} bytes")
    title, _, rest = data.partition(b"\n")
    if not title.startswith(TITLE.encode()):
        raise ProfileError("this is no profile: it does not begin with 'strata profile'")
    form = title[len(TITLE) :]
    if form != b"%d" % FORM:
        known = printable(form.decode("ascii", "replace"), 20)
        raise ProfileError(f"a profile of form {known}, and this Strata knows form {FORM}")
    at = data.rfind(b"\nsum ") + 1
    if at == 0 or data[at:] != _sum_line(data[:at]):
        raise ProfileError("a damaged profile: it is cut off, or not what was written")
    try:
        module, *lines = rest[: at - len(title) - 1].decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise ProfileError("a damaged profile: it is no text") from None
    word, _, named = module.partition(" ")
    digest, _, name = named.partition(" ")
    if word != "module" or len(digest) != 2 * DIGEST_BYTES or not set(digest) <= set("0123456789abcdef"):
        raise ProfileError("a damaged profile: no line says of which module it is")
    return Profile(digest, name, tuple(_functions(lines)))


def _functions(lines: Iterable[str]) -> Iterator[FunctionProfile]:
    """The rows, each of them checked."""
    last = -1
    for line in lines:
        words = line.split(" ")
        if not 4 <= len(words) <= 5:
            raise ProfileError(f"a damaged profile: {printable(line, 40)!r} where a function is expected")
        loops = tuple(_number(word, MOST_OFFSET) for word in words[4].split(",")) if len(words) == 5 else ()
        function, calls, ticks = (_number(word, MOST_COUNT) for word in words[:3])
        if function <= last:
            raise ProfileError("a damaged profile: its functions are not in order")
        last = function
        yield FunctionProfile(function, calls, ticks, _number(words[3], 1), loops)


def _number(word: str, most: int) -> int:
    """A whole number as ``_line`` writes it."""
    if not (word.isascii() and word.isdecimal() and len(word) <= MOST_DIGITS and int(word) <= most):
        raise ProfileError(f"a damaged profile: {printable(word, 20)!r} where a number up to {most} is expected")
    return int(word)
