"""Snapshots as bytes: what ``Snapshot.serialize`` writes and ``deserialize`` believes.

The form is that of images (``aot/container.py``): facts, the state, and the pages of the memories that are not all
zero. All of it has the mark; what is in it is checked as if it had none, since a caller may say ``trusted``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping

from stratavm.aot.container import REBUILD, Content, Damaged, Image, Key, read_content, write
from stratavm.aot.contents import FACTS, PAGES, STATE, WORLDS, facts_of, pack_facts
from stratavm.aot.files import write_whole
from stratavm.aot.trust import checked_key, user_key
from stratavm.base.errors import DecodeError, ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, Any, Final, replace
from stratavm.base.text import printable
from stratavm.engine.aot import build_identity
from stratavm.module.reader import sum_of
from stratavm.runtime.image import PAGE, MemoryImage, check_files, image_of_file, image_of_pieces, open_file
from stratavm.runtime.limits import ADDRESS_SPACE
from stratavm.runtime.snapshot import State, state_of_parts

if TYPE_CHECKING:
    from stratavm.engine.module import Module

KIND: Final = "snapshot"
_LENGTH: Final = struct.Struct("<Q")
_MEMORY: Final = struct.Struct("<QQ")
"""Pages of a memory as guests count them, and how many runs of pages of it there are."""
_RUN: Final = struct.Struct("<QQ")
"""Where a run lies in its memory, and its bytes; whole pages of this machine."""
_CONSTANT_BYTES: Final = 16
BLOCK: Final = 1 << 24
"""Bytes of a memory that are looked at at once."""
ZERO: Final = bytes(PAGE)
AGAIN: Final = "take it again: instance.snapshot()"
OF_ANOTHER: Final = (
    "give the module that it was taken of, or take it again; where functions went with an update, that is no file's: "
    "keep snapshot.module.serialize() beside it"
)
"""What to do about a snapshot whose binary is another one."""


def packed(module: Module, state: State, key: bytes | None) -> list[bytes]:
    """A snapshot, in pieces, with the mark of a key, or of this user's if there can be one."""
    if module._is_given:
        raise ValueError("a snapshot of a module that was made of a model cannot be kept: its binary may be another")
    sections = {FACTS: pack_facts(_facts(module))} | sections_of(module, state)
    return write(sections, checked_key(key) or user_key(make=True)[0])


def sections_of(module: Module, state: State) -> dict[str, bytes]:
    """A state as sections of an image."""
    memories, pages = [], []
    for type_, (count, image) in zip(module.model.memories, state.memories, strict=True):
        runs = [] if image is None else list(_runs(image, _whole(count << type_.page_shift)))
        memories.append(_MEMORY.pack(count, len(runs)) + b"".join(_RUN.pack(at, len(data)) for at, data in runs))
        pages += [data for _, data in runs]
    parts = [
        b"".join(memories),
        state.cells,
        state.dropped_datas,
        state.dropped_elements,
        b"".join(bits.to_bytes(_CONSTANT_BYTES, "little") for bits in state.constants),
        bytes((state.initialized,)),
        *state.tables,
    ]
    state_bytes = b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))
    worlds = [world if isinstance(world, bytes) else world.serialize() for world in state.worlds or ()]
    seen = {WORLDS: b"".join(piece for part in worlds for piece in (_LENGTH.pack(len(part)), part))} if worlds else {}
    return {STATE: state_bytes, **seen, PAGES: b"".join(pages)}


def write_snapshot(module: Module, state: State, path: str | os.PathLike[str], key: bytes | None) -> None:
    """``Snapshot.serialize_file``."""
    write_whole(path, packed(module, state, key), private=True)


def _facts(module: Module) -> dict[str, str]:
    """What it depends on. A sum of the binary will do: what is in a snapshot is checked against the module, so that who
    makes another binary with this sum gets nothing by it."""
    model = module.model
    binary = f"{model.size} {(model.total or sum_of(model.binary)).hex()}"
    return {"kind": KIND, "build": build_identity(), "binary": binary, "page": str(PAGE), "name": module.name}


def _whole(size: int) -> int:
    """A number of bytes in whole pages of this machine."""
    return -(-size // PAGE) * PAGE


def _runs(image: MemoryImage, size: int) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of runs of pages, of a memory of so many bytes, that are not all zero."""
    for at in range(0, size, BLOCK):
        data = bytearray(min(BLOCK, size - at))
        if at < image.end:
            shown = os.pread(image.descriptor, min(len(data), image.end - at), at)
            data[: len(shown)] = shown
        for place, content in image.pieces:
            if at < place + len(content) and place < at + len(data):
                first = max(at, place)
                part = content[first - place : at + len(data) - place]
                data[first - at : first - at + len(part)] = part
        start = None
        for page in range(0, len(data) + 1, PAGE):
            if data[page : page + PAGE] in (ZERO, b""):
                if start is not None:
                    yield at + start, bytes(data[start:page])
                start = None
            elif start is None:
                start = page


def unpacked(module: Module, content: Content, key: bytes | None, trusted: bool) -> State:
    """The state that was packed, of this module."""
    image = read_content(content)
    image = _believed(image, checked_key(key), trusted)
    try:
        facts = facts_of(image)
        _check_facts(facts, _facts(module))
    except Damaged as error:
        raise DecodeError(f"damaged snapshot: {error}", hint=AGAIN) from None
    return state_in(module, image)


def checked_state_in(module: Module, image: Image) -> State:
    """``state_in`` for the image of a module, whoever made it: the binary in it would run as well, and what is in a
    state is checked. It may not be of another build, which may count functions in another way."""
    try:
        facts = facts_of(image)
    except Damaged as error:
        raise DecodeError(f"damaged image: {error}", hint=REBUILD) from None
    _check_facts(facts, {"build": build_identity()}, REBUILD)
    return state_in(module, image)


def state_in(module: Module, image: Image) -> State:
    """The state in an image: of this module, as far as that can be said of what is in it.

    Raises:
        DecodeError: it is damaged, or of no instance of the module.
        ResourceLimit: the process may have no more files.
    """
    try:
        state, pages = image.section(STATE), image.section(PAGES)
        memories, *parts = _Reader(state).parts(6 + len(module.model.tables))
        cells, datas, elements, constants, flag, *tables = parts
        if len(constants) % _CONSTANT_BYTES:
            raise ValueError("its constants are cut off")
        places = range(0, len(constants), _CONSTANT_BYTES)
        values = tuple(int.from_bytes(constants[at : at + _CONSTANT_BYTES], "little") for at in places)
        taken = tuple(_memories(module, memories, pages))
        whole = (taken, cells, tuple(tables), datas, elements, values, flag == b"\1")
        seen = _Reader(image.section(WORLDS) if WORLDS in image.sections else b"").rest()
        return state_of_parts(module.blueprint, whole, len(pages), tuple(seen))
    except ValueError as error:
        raise DecodeError(f"damaged snapshot: {error}", hint=AGAIN) from None
    except OSError as error:
        raise ResourceLimit(f"the system has no file for a snapshot: {error}", limit="files") from error


def _check_facts(facts: Mapping[str, str], here: Mapping[str, str], remedy: str = AGAIN) -> None:
    """Raise DecodeError where a snapshot depends on something else than there is."""
    for name, expected in here.items():
        if name != "name" and facts.get(name) != expected:
            found = printable(facts.get(name, "none"))
            hint = OF_ANOTHER if name == "binary" else remedy
            raise DecodeError(f"a snapshot of another {name}", expected=expected, found=found, hint=hint)


def _believed(image: Image, key: bytes | None, trusted: bool) -> Image:
    """The image, with the key whose mark it has.

    Raises:
        DecodeError: it has not the mark that it should have.
    """
    secret, why = (key, "") if key is not None else user_key()
    if secret is not None and image.is_marked_by(Key(secret)):
        return replace(image, key=Key(secret))
    if trusted:
        return image
    whose = "this user's key" if key is None else "the key that was given"
    reason = why or ("it has no mark" if not image.is_marked else f"its mark is not by {whose}")
    raise DecodeError(f"this snapshot is not used: {reason}", hint="trusted=True uses it whoever made it")


class _Reader:
    """Bytes that are taken one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """So many of them. ValueError where they are not there."""
        if size > len(self._data) - self._at:
            raise ValueError("its state is cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def numbers(self, form: struct.Struct) -> tuple[Any, ...]:
        """Numbers of a form."""
        return form.unpack(self.take(form.size))

    def parts(self, count: int) -> list[bytes]:
        """So many parts, each behind its length, and nothing else."""
        found = [self.take(self.numbers(_LENGTH)[0]) for _ in range(count)]
        self.end()
        return found

    def rest(self) -> Iterator[bytes]:
        """Parts until the end."""
        while self._at < len(self._data):
            yield self.take(self.numbers(_LENGTH)[0])

    def end(self) -> None:
        """Raise ValueError unless that was all."""
        if self._at != len(self._data):
            raise ValueError("something follows its state")


def _memories(module: Module, table: bytes, pages: bytes) -> Iterator[tuple[int, MemoryImage | None]]:
    """Pages and image of each memory. What is no memory of the module is found later; here that it is whole."""
    reader, at = _Reader(table), 0
    for type_ in module.model.memories:
        count, n_runs = reader.numbers(_MEMORY)
        limits = type_.limits
        if count < limits.minimum or (limits.maximum is not None and count > limits.maximum):
            raise ValueError("a memory has not as many pages as its type says")
        if count << type_.page_shift > ADDRESS_SPACE:
            raise ValueError("a memory is larger than addresses reach")
        size = _whole(count << type_.page_shift)
        runs, behind = [], 0
        for _ in range(n_runs):
            start, length = reader.numbers(_RUN)
            if start % PAGE or length % PAGE or not behind <= start <= size - length or length > len(pages) - at:
                raise ValueError("pages of a memory do not lie in it")
            runs.append((start, at, length))
            behind, at = start + length, at + length
        yield count, _image(size, runs, pages) if size else None
    reader.end()
    if at != len(pages):
        raise ValueError("pages are left over")


def _image(size: int, runs: list[tuple[int, int, int]], pages: bytes) -> MemoryImage:
    """The image of a memory of so many bytes: runs are (offset in it, offset in the pages, bytes). Where the process
    may have no such file (behind a wall, for one) the pages are kept, and copied to each instance."""
    view = memoryview(pages)
    try:
        check_files()
        descriptor = open_file()
    except OSError:
        return image_of_pieces(tuple((start, bytes(view[at : at + length])) for start, at, length in runs))
    try:
        os.ftruncate(descriptor, size)
        for start, at, length in runs:
            done = 0
            while done < length:
                done += os.pwrite(descriptor, view[at + done : at + length], start + done)
    except BaseException:
        os.close(descriptor)
        raise
    return image_of_file(descriptor, size)
