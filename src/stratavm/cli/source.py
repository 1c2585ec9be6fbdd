"""Files that the command reads and writes: ``-`` is standard input or output, whatever else stands there is a path."""

from __future__ import annotations

import errno
import os
import sys

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.cli.program import STANDARD
from stratavm.engine.source import read_source, read_up_to
from stratavm.module.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from stratavm.engine.source import Source

MAGIC: Final = b"\0asm"
PORTION: Final = 1 << 16
"""Characters of a text that are written at once."""


class FilePath:
    """A path that is never taken for anything else, such as a module's text, whatever it is."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


def guest_input(name: str | None) -> FilePath | str:
    """What ``Wasi`` takes as standard input for a file that is named on the command line; without one, ours."""
    return "inherit" if name in (None, STANDARD) else FilePath(str(name))


def module_source(name: str) -> FilePath | bytes:
    """What ``Module`` takes for a name on the command line.

    Raises:
        OSError: standard input is closed or cannot be read.
    """
    return _standard_input() if name == STANDARD else FilePath(name)


def module_binary(name: str) -> bytes:
    """A module's binary, unchecked: the file, or what its text says. Raises as ``read_module`` does."""
    return read_module(name)[0]


def read_module(name: str) -> tuple[bytes, Source]:
    """A module's binary, unchecked, and what it was found in.

    Raises:
        OSError: it cannot be read.
        ModuleError: the text is malformed, or it is neither.
    """
    # Not for `strata run`, which has to start fast.
    from stratavm.module.decode import decode
    from stratavm.module.encode import HEADER
    from stratavm.module.outline import is_component

    source = read_source(module_source(name))
    if source.text is not None:
        from stratavm.module.parser import parse_wat_to_bytes

        return parse_wat_to_bytes(source.text), source
    binary = source.binary or b""
    if binary[:8] != HEADER and not is_component(binary):
        decode(binary)  # says what it is instead
    return binary, source


def standard_input(most: int) -> bytes:
    """What comes on standard input, no more than ``most`` bytes and one.

    Raises:
        OSError: it is closed or cannot be read.
    """
    return read_up_to(open_input().buffer, most)


def open_input() -> TextIO:
    """Standard input.

    Raises:
        OSError: it is closed.
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard input")
    return sys.stdin


def _standard_input() -> bytes:
    stdin = open_input()
    if stdin.isatty():
        output.note("reading a module from the terminal; end it with Ctrl-D")
    return read_up_to(stdin.buffer, DEFAULT_LIMITS.module_bytes)


def write(data: bytes | str, name: str | None, module: str) -> None:
    """Write what was made of a module to a file, or to standard output where the name is ``-`` or absent.

    Raises:
        OSError: it cannot be written; what was in the file is there still.
        ValueError: a binary would go to a terminal, or the module itself would be lost.
    """
    if name is None or name == STANDARD:
        _write_out(data)
        return
    refuse_loss(name, module, MAGIC if isinstance(data, bytes) else b"")
    from stratavm.aot.files import write_whole  # `strata run` writes nothing

    write_whole(name, [data.encode() if isinstance(data, str) else data], replace=True)


def write_text(pieces: Iterable[str], name: str | None, module: str) -> None:
    """``write`` of a text that is long in the making: standard output has each part as soon as it is there.

    Raises:
        OSError, ValueError: as ``write``.
    """
    encoded = _portions(pieces)
    if name is None or name == STANDARD:
        for portion in encoded:
            _write_out(portion, is_text=True)
        return
    refuse_loss(name, module, b"")
    from stratavm.aot.files import write_whole  # `strata run` writes nothing

    write_whole(name, encoded, replace=True)


def _portions(pieces: Iterable[str]) -> Iterator[bytes]:
    """Text in portions that are worth a write."""
    held, size = list[str](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PORTION:
            yield "".join(held).encode()
            held, size = [], 0
    yield "".join(held).encode()


def refuse_loss(name: str, module: str, kind: bytes = MAGIC, option: str = "-o") -> None:
    """Raise ValueError if a file is the module that is read, unless it is of a ``kind``, as it begins."""
    try:
        read = os.stat(sys.stdin.fileno() if module == STANDARD else module)  # a file may be redirected, too
        lost = os.path.samestat(os.stat(name), read)
    except (OSError, ValueError):  # no file there yet, or none that is read
        return
    if not lost:
        return
    with open(name, "rb") as file:
        if kind and file.read(len(kind)) == kind:
            return
    raise ValueError(f"{option} {printable(name)} would overwrite the module that is read: name another file")


def check_place(name: str, module: str, kind: bytes = MAGIC, option: str = "-o") -> None:
    """Look at a place where a file is to be written at the end of long work, before that begins.

    Raises:
        OSError: it is a folder, or its folder is not there or not for writing; or it is standard output, closed.
        ValueError: as of ``refuse_loss``; or a binary would go to a terminal.
    """
    if name == STANDARD:
        return _refuse_terminal(output.stream())
    refuse_loss(name, module, kind, option)
    if os.path.isdir(name):
        raise IsADirectoryError(errno.EISDIR, "a folder, where a file is to be written", f"{option} {name}")
    if not os.path.basename(name):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    folder = os.path.dirname(os.path.abspath(name))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "no such folder", f"{option} {folder}")
    place = name if os.path.exists(name) and not os.path.isfile(name) else folder
    if not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "it cannot be written", f"{option} {place}")


def write_binary(data: bytes) -> None:
    """Write bytes to standard output.

    Raises:
        OSError: it cannot be written.
        ValueError: it is a terminal.
    """
    _write_out(data)


def _write_out(data: bytes | str, is_text: bool = False) -> None:
    stream = output.stream()
    if isinstance(data, str):
        data = data.encode()  # the text of a module is UTF-8 whatever the locale
    elif not is_text:
        _refuse_terminal(stream)
    output.put(data)


def _refuse_terminal(stream: TextIO) -> None:
    """Raise ValueError if what shows a binary is a terminal."""
    if stream.isatty():
        raise ValueError("a binary is not for a terminal: write it to a file with -o FILE")
