"""What a run is asked for, checked once: a frozen record that the ways to run share."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence

from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias, dataclass
from stratavm.base.text import utf8
from stratavm.wasi import given
from stratavm.wasi.descriptor import Tree
from stratavm.wasi.given import Mode

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.engine.source import SourceLike
    from stratavm.wasi.memfs import MemoryTree

ModuleLike: TypeAlias = "SourceLike | Module"
Input: TypeAlias = "bytes | bytearray | memoryview | str | io.IOBase | None"
HostPath: TypeAlias = "str | os.PathLike[str]"
Dirs: TypeAlias = "Mapping[Any, str | tuple[str, Mode]] | Sequence[tuple[HostPath, str] | tuple[HostPath, str, Mode]]"
"""Host folder → guest path, or pairs of the two; ``(guest path, "rw")``, or a third item, makes it writable. The key is
a ``HostPath``: said so, type checkers would take no ``dict[str, …]``; nor a mixed literal, were pairs any iterable."""

ROOT: Final = "/"
"""Where the guest sees the files that it is given."""
MOST_FUEL: Final = (1 << 63) - 1
MOST_BYTES: Final = 1 << 62
MOST_THREADS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the host, and where the guest sees it."""

    host: str
    guest: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Arguments:
    """What ``stratavm.run`` was asked for; its docstring says what each means."""

    module: ModuleLike
    args: tuple[str, ...]
    env: dict[str, str]
    stdin: bytes | io.IOBase
    files: dict[str, bytes] | MemoryTree | None
    folders: tuple[Folder, ...]
    timeout: float | None
    fuel: int | None
    max_memory: int | None
    max_output: int
    threads: int
    name: str
    """What the program is told that it is called."""
    seed: int | None = None
    """Where clock and random numbers follow from one."""

    @property
    def path(self) -> str | None:
        """Where the module is, if it is a file."""
        return path_of(self.module)


def path_of(module: ModuleLike) -> str | None:
    """The path, where that is how the module is given."""
    if isinstance(module, os.PathLike):
        return os.fsdecode(module)
    return module if isinstance(module, str) and module.lstrip()[:1] not in ("(", ";") else None


def texts(values: Any, such: str = '["-c", "print(1)"]') -> tuple[str, ...]:
    """A program's arguments; ``such`` is an example of them."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"args must be a list of strings such as {such}, got {values!r:.60}")
    found = tuple(values)
    given.arguments(found)
    return tuple(map(plain_text, found))


def input_of(value: Any) -> bytes | io.IOBase:
    """What a program reads as its standard input."""
    if value is None:
        return b""
    if isinstance(value, str):
        return utf8(value, "stdin")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, io.TextIOBase):
        raise TypeError("stdin carries bytes: give the binary file (text.buffer)")
    if isinstance(value, io.IOBase):
        if not value.readable():
            raise ValueError(f"stdin must be open for reading: {value!r}")
        return value
    what = "stdin must be the input itself (bytes or str) or a binary file"
    world = "; what is awaited is the stdin of a Wasi, whose module a Linker instantiates" if callable(value) else ""
    raise TypeError(f"{what}, got {kind_of(value)}{world}")


def contents(values: Any) -> dict[str, bytes]:
    """Contents of files by path."""
    if not isinstance(values, Mapping):
        raise TypeError(f'files must map paths to contents such as {{"in.txt": b"..."}}, got {kind_of(values)}')
    found = {}
    for path, content in values.items():
        if not isinstance(path, str):
            raise TypeError(f"files must map strings to contents, got the path {path!r:.60}")
        if not isinstance(content, (bytes, bytearray, memoryview, str)):
            raise TypeError(f"files must hold bytes or str; the content of {path!r:.60} is {kind_of(content)}")
        parts = [part for part in path.split("/") if part]
        if not parts or any(part in (".", "..") for part in parts) or "\0" in path:
            raise ValueError(f"files: {path!r:.60} is not the path of a file in the guest, such as 'data/in.txt'")
        given.c_string(path, f"files: the path {path!r:.60}")
        if "/".join(parts) in found:
            raise ValueError(f"files: {path!r:.60} is given twice, it is the same as {'/'.join(parts)!r:.60}")
        if isinstance(content, str):
            content = utf8(content, f"files: the content of {path!r:.60}")
        found["/".join(parts)] = bytes(content)
    return found


def folders_of(values: Any) -> Iterable[Folder]:
    """Folders of the host."""
    if isinstance(values, (bytes, bytearray, memoryview)):  # a module, perhaps
        raise TypeError(f'dirs must be a mapping such as {{"data": "/data"}}, got {values!r:.60}')
    for origin, guest, read_only in given.preopens(values, "dirs"):
        if isinstance(origin, Tree):
            raise TypeError(
                f"dirs are folders of the host, got {origin!r:.80}: give contents as files={{path: content}}"
            )
        host = plain_text(os.fsdecode(origin))
        if not guest.startswith("/") and guest not in (".", host):
            swapped = f": the host's folder stands first, {{{guest!r:.80}: {host!r:.80}}}" if host[:1] == "/" else ""
            said = f"dirs: the guest's path for {host!r:.80} must begin with '/' such as '/data'"
            raise ValueError(f"{said}, got {guest!r:.80}{swapped}")
        yield Folder(host, plain_text(guest), not read_only)


def plain_text(text: str) -> str:
    """The text itself, where it is of a subclass: those are not what ``marshal`` takes."""
    return str.__str__(text)


def kind_of(value: object) -> str:
    """What messages call a value."""
    return type(value).__name__
