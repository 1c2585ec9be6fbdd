"""Images of initial memories: active data segments laid out once per module, in a sealed file that instances map.

A mapping is private: pages are shared until an instance writes to one, and then copied by the kernel. Owns which
segments an image covers; mapping is the region's business.
"""

from __future__ import annotations

import errno
import itertools
import os
from _collections_abc import Iterable

from stratavm.base.forms import Final, dataclass, field, replace
from stratavm.base.importing import fcntl, finalize, ref, resource
from stratavm.module.model import Module
from stratavm.module.sections import Datas
from stratavm.runtime.wipe import Original
from stratavm.spec.types import MemoryType

PAGE: Final = os.sysconf("SC_PAGESIZE")
MAX_RUNS: Final = 8
"""Mappings per memory: a process has 65,530."""
MAX_GAP: Final = 16
"""Pages without data that a run may hold, rather than being split: a mapping costs more than they do."""
MAX_SHARE: Final = 4
"""Images take at most one in so many of the files that the process may have open."""

MAX_BYTES: Final = 16 << 20
MAX_GROWTH: Final = 8
"""An image has at most so many bytes, and in addition so many times those of the binary: small segments that lie far
apart could take thousands of times as much."""
NOT_COUNTED_ON: Final = -1
"""Bytes of a memory that no image is made of."""

Runs = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class MemoryImage:
    """What a memory begins with.

    Attributes:
        serial: its number; never used again in this process.
        descriptor: of the sealed file; closed with the image. Mappings live on without it.
        runs: (offset in the memory, bytes, offset in the file) of what is mapped; whole host pages.
        pieces: (offset in the memory, bytes) of what is copied instead.
        end: where the last run ends.
        original: the runs, to write them back from.
        root: the image that it is, but for its pieces, where it has no file of its own.
    """

    serial: int
    descriptor: int
    runs: Runs
    pieces: tuple[tuple[int, bytes], ...]
    end: int
    original: Original
    root: MemoryImage | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a module.

    Attributes:
        covered: so many of its first data segments are in them; those that follow are copied one by one.
        by_memory: image by memory index; only memories of the module's own, never shared ones.
    """

    covered: int = 0
    by_memory: dict[int, MemoryImage] = field(default_factory=dict)


NO_IMAGES: Final = Images()
_serials = itertools.count(1)
_living: set[ref[MemoryImage]] = set()


def coverable(module: Module) -> int:
    """How many leading data segments need no evaluation and surely fit into memories of the module's own.

    Later ones are left alone although they may be as plain: an earlier one that does not fit must trap first.
    """
    imported = len(module.memory_types) - len(module.memories)
    own = [t.limits.minimum << t.page_shift if _is_plain(t) else NOT_COUNTED_ON for t in module.memories]
    count: int = Datas.of(module.datas).leading([NOT_COUNTED_ON] * imported + own)
    return count


def _is_plain(type_: MemoryType) -> bool:
    return not type_.limits.shared and type_.page_shift == 16


def make_images(module: Module) -> Images:
    """The images of a module; ``NO_IMAGES`` where there is nothing to show.

    It pays from the first page on: a mapping costs one system call, a copy the first touch of every page, and that is
    several times as much. Only a guest that goes on to write to all of its pages would be a little faster with copies.

    Raises:
        OSError: the process may have no more files, or no memory files at all.
    """
    covered = coverable(module)
    images = {}
    for memory in range(len(module.memory_types)):
        runs = _lay_out(module, memory, covered)
        if runs:
            images[memory] = _image(runs)
    return Images(covered, images) if images else NO_IMAGES


def _lay_out(module: Module, memory: int, covered: int) -> list[tuple[int, bytes]]:
    most = MAX_BYTES + MAX_GROWTH * module.size
    if module.rest is not None and covered:
        module.rest.need(module.datas[0].start, module.datas[covered - 1].end)
    laid_out: list[tuple[int, bytes]] = Datas.of(module.datas).lay_out(
        module.buffer, memory, covered, PAGE, MAX_GAP, most
    )
    return laid_out


def first_image(module: Module) -> tuple[int, list[tuple[int, bytes]]]:
    """How many segments are covered, and (offset, content) of runs of pages of the first memory's image: of one that a
    file may have by itself. No runs where there is none, where it takes too many mappings, or another memory has one.
    """
    covered = coverable(module)
    if len(module.memory_types) != 1:
        return covered, []
    runs = _lay_out(module, 0, covered)
    return covered, runs if len(runs) <= MAX_RUNS else []


def image_in_file(covered: int, runs: Runs, descriptor: int) -> Images:
    """The images of a module whose one memory begins with pages of a file that somebody else wrote, and nobody changes.

    Runs are (offset in the memory, bytes, offset in the file), of whole pages, one behind the other. The descriptor is
    closed with the image.
    """
    image = MemoryImage(
        next(_serials), descriptor, runs, (), max(r[0] + r[1] for r in runs), Original(descriptor, runs)
    )
    finalize(image, os.close, descriptor, at_exit=False)
    return Images(covered, {0: image})


def _image(runs_of_pages: list[tuple[int, bytes]]) -> MemoryImage:
    """Write and seal a file."""
    check_files()
    mapped = sorted(sorted(runs_of_pages, key=lambda r: -len(r[1]))[:MAX_RUNS])
    descriptor = sealed_file([content for _, content in mapped])
    behind = itertools.accumulate((len(content) for _, content in mapped), initial=0)
    runs = tuple((start, len(content), at) for (start, content), at in zip(mapped, behind, strict=False))
    try:
        return _image_of_runs(descriptor, runs, tuple(r for r in runs_of_pages if r not in mapped))
    except BaseException:
        os.close(descriptor)
        raise


def _image_of_runs(descriptor: int, runs: Runs, pieces: tuple[tuple[int, bytes], ...]) -> MemoryImage:
    """The image of a sealed file, which is closed with it."""
    end = max(start + size for start, size, _ in runs)
    image = MemoryImage(next(_serials), descriptor, runs, pieces, end, Original(descriptor, runs))
    _living.add(ref(image, _living.discard))
    finalize(image, os.close, descriptor, at_exit=False)
    return image


def check_files() -> None:
    """Raise OSError where images have their part of the files of this process."""
    if len(_living) * MAX_SHARE >= resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        raise OSError(errno.EMFILE, f"{len(_living)} images are open, one in {MAX_SHARE} of the files of this process")


def open_file() -> int:
    """A descriptor of an anonymous file, for ``image_of_file``."""
    return os.memfd_create("strata-image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def image_of_file(descriptor: int, size: int) -> MemoryImage:
    """An image that is one run, of an anonymous file of so many bytes, whole pages; nobody can change it any more. The
    file is closed with it, or at once where there can be none.

    Raises:
        OSError: the process may have no more files.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _seals())
        return _image_of_runs(descriptor, ((0, size, 0),), ())
    except BaseException:
        os.close(descriptor)
        raise


def image_of_pieces(pieces: tuple[tuple[int, bytes], ...]) -> MemoryImage:
    """An image without a file, where there can be none: zeros, and what is copied."""
    return MemoryImage(next(_serials), -1, (), pieces, 0, Original(-1, ()))


def image_over(root: MemoryImage, pieces: tuple[tuple[int, bytes], ...]) -> MemoryImage:
    """What an image of one run shows with pages written over it: without a file of its own. A slot that shows the root
    shows it as well, and is wiped to that."""
    return replace(root, pieces=pieces, root=root)


def file_of(parts: Iterable[bytes]) -> int:
    """A descriptor of an anonymous file with this content."""
    descriptor = open_file()
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def sealed_file(parts: Iterable[bytes]) -> int:
    """``file_of`` that nobody can change any more, whatever he does."""
    descriptor = file_of(parts)
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _seals())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def sealed_copy(file: int, place: int, size: int) -> int:
    """As ``sealed_file``, of so many bytes of a file from a place on.

    Raises:
        OSError: the file ends before them, or there are no more descriptors.
    """
    descriptor = open_file()
    try:
        end = place + size
        while place < end:
            moved = os.sendfile(descriptor, file, place, end - place)
            if moved == 0:
                raise OSError(errno.EIO, "the file ends early")
            place += moved
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _seals())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _seals() -> int:
    return int(fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
