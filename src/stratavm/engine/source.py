"""Where a module comes from: a path, bytes or WAT text, told apart without guessing.

``bytes`` that begin with the magic number are a binary, those that begin as an image does are one, other ``bytes`` are
WAT in UTF-8; a ``str`` with a parenthesis as its first visible character (or a comment) is WAT, every other ``str`` and
every ``PathLike`` is a path.
"""

from __future__ import annotations

import os
from io import FileIO

from stratavm.base.budget import check
from stratavm.base.errors import DecodeError, ModuleLimit, ParseError
from stratavm.base.forms import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, dataclass, replace
from stratavm.base.importing import importing, select
from stratavm.base.numbers import truth
from stratavm.base.text import printable
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.module.reader import Reading, read_bytes

if TYPE_CHECKING:
    from stratavm.aot.container import Image
    from stratavm.aot.trust import Trust
    from stratavm.module.model import Rest
    from stratavm.services.ahead import Ahead

MAGIC: Final = b"\0asm"
BYTES: Final = "<bytes>"
TEXT: Final = "<text>"
NAMELESS: Final = (BYTES, TEXT)
"""What a source is called that lies in no file."""
IMAGES: Final = (b"\x89s", b"#!")
"""How images begin (``aot/container.py``)."""
MOST_TIMES: Final = 16
"""An image may be so many times as long as a binary."""
PIECE: Final = 1 << 20
LOOK_MS: Final = 50
"""How long it is waited for bytes between two looks at the time."""

SourceLike: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"


@dataclass(frozen=True, slots=True)
class Source:
    """A module's text or binary and a name for messages; exactly one of ``binary`` and ``text`` is set, or neither
    where an image was read alone.

    Attributes:
        file: what the kernel said of the file before and after it was read, if it said the same.
        total: the sum of the binary (``module.reader.sum_of``), where it is known.
        image: what the binary was in, with its machine code.
        trust: what the caller says of the image.
        ahead: what was begun to be read of what is kept of it.
        rest: what reads the parts of the binary that were not kept; None: all were.
    """

    name: str
    binary: bytes | None = None
    text: str | None = None
    file: os.stat_result | None = None
    total: bytes = b""
    image: Image | None = None
    trust: Trust | None = None
    ahead: Ahead | None = None
    rest: Rest | None = None

    def called(self, name: str) -> Source:
        """The same, with a name if it has none."""
        return replace(self, name=name) if name and self.name in NAMELESS else self

    def whole(self) -> Source:
        """The same, with all of its binary.

        Raises:
            OSError: the file has changed since.
        """
        return self if self.rest is None else replace(self, binary=self.rest.whole(), rest=None)


def read_source(source: SourceLike, most: int = DEFAULT_LIMITS.module_bytes, *, lean: bool = False) -> Source:
    """Fetch a module's bytes or text, of a file no more than ``most`` bytes. Waits, where the file is a FIFO that
    nobody writes to, as long as the thread's ``Budget`` allows. Of an image, its binary is read; the code in it is for
    ``engine/aot.py`` to judge, and is read when that asks for it. ``lean``: so is its binary.

    Raises:
        OSError: the file cannot be read.
        DeadlineExceeded: nothing more came in time.
        ParseError: the text is not UTF-8.
        DecodeError: there is nothing at all, or it is a damaged image.
        ModuleLimit: the file is longer than ``most`` bytes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(BYTES, bytes(source), lean)
    if isinstance(source, str) and path_in(source) is None:
        return Source(TEXT, text=source)
    _check_path(source)
    ahead = source.result() if isinstance(source, Reading) else None
    if ahead is not None:
        data, before, after, total = ahead
        size = len(data)
    else:
        try:
            with _opened(source) as file:
                before, total = os.fstat(file.fileno()), b""
                size = before.st_size  # 0 for what is no ordinary file, and may never end
                if size and os.pread(file.fileno(), 2, 0) in IMAGES:
                    image = _image_in_file(source, most * MOST_TIMES, lean)
                    if image is not None:
                        return image
                data = read_up_to(file, most, size) if size <= most else b""
                after = os.fstat(file.fileno())
        except OSError as error:
            if error.filename is None:  # reading, unlike opening, does not say of which file
                error.filename = os.fspath(source)
            raise
    if max(size, len(data)) > most:
        raise ModuleLimit(
            "module too large", limit="module_bytes", expected=f"at most {most} bytes", found=f"{size or 'more'}"
        )
    same = before if _state(after) == _state(before) else None
    found = _from_bytes(os.fspath(source), data)
    if isinstance(source, Reading):
        rest = source if ahead is not None and source.has_rest() else None  # else it was read again, by its path
        found = replace(found, ahead=source.kept, rest=rest)
    if same is not None:
        return replace(found, file=same, total=total)
    # What changed while it was read is read anew, in one go, and nothing is known of its file.
    return found if found.rest is None else replace(read_source(os.fspath(source), most), file=None)


def _state(now: os.stat_result) -> tuple[int, ...]:
    """What a change of a file changes; not when it was read, which reading does."""
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def _opened(path: str | os.PathLike[str]) -> FileIO:
    try:
        return open(path, "rb", buffering=0, opener=_open_at_once)
    except FileNotFoundError as error:
        with importing:
            from stratavm.base.endings import with_ending

        if meant := with_ending(path):
            error.add_note(f"did you mean {printable(meant)!r}?")
        raise


def read_up_to(file: BinaryIO | FileIO, most: int, expected: int = 0) -> bytes:
    """What a file has, up to one byte more than ``most``. Asked for all of those at once, Python would take the memory
    for them before it reads: a gigabyte, which a process with a limit may not have.

    Waits for what is no ordinary file, as long as the thread's ``Budget`` allows.

    Args:
        expected: how many there are, if that is known.

    Raises:
        DeadlineExceeded: nothing more came in time.
    """
    pieces, left = [], most + 1
    if expected:
        wanted = min(expected, most)
        pieces.append(read_bytes(file.fileno(), wanted) if isinstance(file, FileIO) else file.read(wanted))
        left -= len(pieces[0])
        if len(pieces[0]) < wanted:
            return pieces[0]
    number = None if expected else _number(file)  # an ordinary file is always ready
    while left > 0:
        if number is not None:
            _wait(number)
        piece = _some(file, min(PIECE, left))
        if piece is None:  # another reader was quicker
            continue
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _some(file: Any, size: int) -> bytes | None:
    """What there is by now, without a wait for more; None where there is nothing after all."""
    piece: bytes | None = file.read1(size) if hasattr(file, "read1") else file.read(size)
    return piece


def _wait(number: int) -> None:
    """Until a descriptor is ready, with looks at the time and at signals."""
    poller = select.poll()
    poller.register(number, select.POLLIN)
    check()
    while not poller.poll(LOOK_MS):
        check()


def _number(file: Any) -> int | None:
    """The descriptor of a file; None where it has none."""
    try:
        return int(file.fileno())
    except (AttributeError, OSError):
        return None


def _open_at_once(path: Any, flags: int) -> int:
    """As ``open`` opens, but without a wait for someone who writes to a FIFO: the wait for the first byte is enough."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def path_in(source: SourceLike) -> str | os.PathLike[str] | None:
    """A source that is neither bytes nor text."""
    if isinstance(source, str):
        return None if source.lstrip()[:1] in ("(", ";") else source
    return None if isinstance(source, (bytes, bytearray, memoryview)) else source


def _check_path(source: object) -> None:
    """TypeError for what is no path: an integer would be a descriptor, which ``open`` closes afterwards."""
    if not isinstance(source, (str, os.PathLike)):
        instead = "; pass what it reads: source.read()" if hasattr(source, "read") else ""
        if hasattr(source, "blueprint"):
            instead = (
                ", which is loaded already: Linker(module.engine).instantiate(store, module) makes an instance of it"
            )
        raise TypeError(f"source must be a path, bytes or text of a module, got {type(source).__name__}{instead}")


def _from_bytes(name: str, data: bytes, lean: bool = False) -> Source:
    if data[:4] == MAGIC:
        return Source(name, binary=data)
    if data[:2] in IMAGES and (found := _image_in(data, lean)) is not None:
        return found
    if not data:
        hint = "it is empty: was the download or the build interrupted?"
        raise DecodeError("unexpected end", expected="a WebAssembly module", found="nothing", hint=hint)
    if data.lstrip()[:1] not in (b"(", b";"):
        # Neither a binary nor text: let the decoder say what it is instead.
        return Source(name, binary=data)
    try:
        return Source(name, text=data.decode("utf-8"))
    except UnicodeDecodeError as error:
        with importing:
            from stratavm.module.foreign import recognise

        if recognise(data) is not None:  # zstd begins with a parenthesis
            return Source(name, binary=data)
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ParseError("malformed UTF-8 encoding", line=line, column=column, expected="UTF-8 text") from None


def _image_in_file(path: str | os.PathLike[str], most: int, lean: bool) -> Source | None:
    """The image that a file of at most so many bytes has; None where it has none. The file stays open as long as it.

    Raises:
        OSError, DecodeError, ModuleLimit: as ``read_source``.
    """
    with importing:
        from stratavm.aot.container import FileContent, read_content, starts_at

    content = FileContent(_opened(path))
    if starts_at(content.part(0, content.lead_bytes)) is None:
        return None
    if content.size > most:
        raise ModuleLimit(
            "image too large", limit="module_bytes", expected=f"at most {most} bytes", found=f"{content.size} bytes"
        )
    return replace(_of_image(read_content(content), lean), name=os.fspath(path), file=content.state)


def _image_in(data: bytes, lean: bool) -> Source | None:
    """The image that bytes are, called as it was when it was built; None where they are none."""
    with importing:
        from stratavm.aot.container import read, starts_at

    return None if starts_at(data) is None else _of_image(read(data), lean)


def _of_image(image: Image, lean: bool) -> Source:
    """An image and its binary, or that alone.

    Raises:
        DecodeError: that is damaged.
    """
    with importing:
        from stratavm.aot.contents import binary_of, name_of
        from stratavm.aot.trust import with_own_key

    image = with_own_key(image)
    return Source(name_of(image) or BYTES, binary=None if lean else binary_of(image), image=image)


def image_in(origin: Source) -> Source:
    """What was read, if it is an image.

    Raises:
        DecodeError: it is something else.
    """
    if origin.image is None:
        raise DecodeError(
            "this is no image",
            expected="what `strata build` or Module.serialize wrote",
            hint="`strata build` makes one of a module",
        )
    return origin


def check_plain_path(path: object) -> None:
    """TypeError for what is no path, where nothing but one will do."""
    if not isinstance(path, (str, os.PathLike)):
        instead = "; Module.deserialize takes bytes" if isinstance(path, (bytes, bytearray, memoryview)) else ""
        raise TypeError(f"path must be a path, got {path!r:.60}{instead}")


def with_trust(origin: Source, key: bytes | None, trusted: bool) -> Source:
    """What was read, with what the caller says of it if it is an image (``aot/trust.py``)."""
    if origin.image is None:
        return origin
    with importing:
        from stratavm.aot.trust import Trust, checked_key

    truth("trusted", trusted)
    return replace(origin, trust=Trust(checked_key(key), trusted))
