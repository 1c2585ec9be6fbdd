"""Images of initial memories: active data segments laid out once per module, in a sealed file that instances map.

A mapping is private: pages are shared until an instance writes to one, and then copied by the kernel. Owns which
segments an image covers; mapping is the region's business.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import resource
import weakref
from collections.abc import Iterable, Mapping

from stratavm.base.budget import check, paced
from stratavm.base.forms import Final, dataclass, field
from stratavm.module.model import Data, Module
from stratavm.runtime.wipe import Original

PAGE: Final = os.sysconf("SC_PAGESIZE")
MAX_RUNS: Final = 8
"""Mappings per memory: a process has 65,530."""
MAX_GAP: Final = 16
"""Pages without data that a run may hold, rather than being split: a mapping costs more than they do."""
MAX_SHARE: Final = 4
"""Images take at most one in so many of the files that the process may have open."""

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
    """

    serial: int
    descriptor: int
    runs: Runs
    pieces: tuple[tuple[int, bytes], ...]
    end: int
    original: Original


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
_living: weakref.WeakSet[MemoryImage] = weakref.WeakSet()


def plain_offset(data: Data) -> int | None:
    """The offset of an active segment if it is a plain ``i32.const``."""
    return None if data.offset is None else data.offset.lone_i32


def coverable(module: Module) -> tuple[int, dict[int, list[tuple[int, bytes]]]]:
    """How many leading data segments need no evaluation and surely fit, and what they write, by memory.

    Later ones are left alone although they may be as plain: an earlier one that does not fit must trap first.
    """
    imported = len(module.memory_types) - len(module.memories)
    writes: dict[int, list[tuple[int, bytes]]] = {}
    for number, data in enumerate(paced(module.datas)):
        if data.mode != "active":
            continue
        type_ = module.memory_types[data.memory]
        at = plain_offset(data)
        size = data.end - data.start
        plain = data.memory >= imported and not type_.limits.shared and type_.page_shift == 16
        if at is None or not plain or at + size > type_.limits.minimum << type_.page_shift:
            return number, writes
        if size:
            writes.setdefault(data.memory, []).append((at, module.binary[data.start : data.end]))
    return len(module.datas), writes


def make_images(module: Module) -> Images:
    """The images of a module; ``NO_IMAGES`` where there is nothing to show.

    It pays from the first page on: a mapping costs one system call, a copy the first touch of every page, and that is
    several times as much. Only a guest that goes on to write to all of its pages would be a little faster with copies.

    Raises:
        OSError: the process may have no more files, or no memory files at all.
    """
    covered, writes = coverable(module)
    images = {}
    for memory, written in writes.items():
        images[memory] = _image(_runs(_pages(written)))
    return Images(covered, images) if images else NO_IMAGES


def _pages(writes: Iterable[tuple[int, bytes]]) -> dict[int, bytearray]:
    """What the pages hold after all writes, by page number."""
    pages: dict[int, bytearray] = {}
    for at, content in writes:
        position = 0
        check()
        while position < len(content):
            page, offset = divmod(at + position, PAGE)
            step = min(PAGE - offset, len(content) - position)
            pages.setdefault(page, bytearray(PAGE))[offset : offset + step] = content[position : position + step]
            position += step
    return pages


def _runs(pages: Mapping[int, bytearray]) -> list[tuple[int, bytes]]:
    """Neighbouring pages together: (offset in the memory, content)."""
    runs: list[tuple[int, bytearray]] = []
    for page in paced(sorted(pages)):
        if runs and page * PAGE - (runs[-1][0] + len(runs[-1][1])) <= MAX_GAP * PAGE:
            start, content = runs[-1]
            content.extend(bytes(page * PAGE - start - len(content)))
            content.extend(pages[page])
        else:
            runs.append((page * PAGE, bytearray(pages[page])))
    return [(start, bytes(content)) for start, content in runs]


def _image(runs_of_pages: list[tuple[int, bytes]]) -> MemoryImage:
    """Write and seal a file."""
    if len(_living) * MAX_SHARE >= resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        raise OSError(errno.EMFILE, f"{len(_living)} images are open, one in {MAX_SHARE} of the files of this process")
    mapped = sorted(sorted(runs_of_pages, key=lambda r: -len(r[1]))[:MAX_RUNS])
    descriptor = sealed_file([content for _, content in mapped])
    behind = itertools.accumulate((len(content) for _, content in mapped), initial=0)
    runs = tuple((start, len(content), at) for (start, content), at in zip(mapped, behind, strict=False))
    try:
        original = Original(descriptor, runs)
    except BaseException:
        os.close(descriptor)
        raise
    image = MemoryImage(
        next(_serials),
        descriptor,
        runs,
        tuple(r for r in runs_of_pages if r not in mapped),
        max(start + size for start, size, _ in runs),
        original,
    )
    _living.add(image)
    weakref.finalize(image, os.close, descriptor).atexit = False
    return image


SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def sealed_file(parts: Iterable[bytes]) -> int:
    """A descriptor of an anonymous file with this content, which nobody can change any more, whatever he does."""
    descriptor = os.memfd_create("strata-image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
