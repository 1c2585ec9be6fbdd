"""The image of a memory as an entry of the cache: its pages, which are mapped, and what says what they are.

The pages are not covered by the mark of an entry when they are used, which would take as long as copying them: the
description, which is, has a sum of them. They are data of a guest; whoever can change them without its sum does not get
further than the guest itself.
"""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.base.importing import struct
from stratavm.module.model import Module
from stratavm.module.reader import sum_of, sum_of_file
from stratavm.runtime.image import MAX_RUNS, PAGE, Images, coverable, first_image, image_in_file

FORM: Final = 1
HEAD: Final = struct.Struct("<IIQQ8s")
"""Form, runs, covered segments, bytes of the pages, their sum."""
RUN: Final = struct.Struct("<QQ")
"""Place in the memory, bytes; runs follow each other in the file."""
LEAST_BYTES: Final = 1 << 20
"""Less is copied as quickly."""


NOTHING: Final = b"nothing"
"""The description of an image that does not pay."""


def lay_out(model: Module, place: int) -> tuple[bytes, bytes]:
    """The description and the pages of a module's image; ``NOTHING`` and no pages where it has none that pays.

    Args:
        place: where the pages will lie in their file; zeros stand before them up to the next whole page.
    """
    covered, runs = first_image(model)
    content = b"".join(pages for _, pages in runs)
    if len(content) < LEAST_BYTES:
        return NOTHING, b""
    head = HEAD.pack(FORM, len(runs), covered, len(content), sum_of(content))
    return head + b"".join(RUN.pack(start, len(pages)) for start, pages in runs), bytes(-place % PAGE) + content


def image_of(data: bytes, model: Module, descriptor: int, place: int, size: int, summed: bytes = b"") -> Images | None:
    """The images of a module by a description that is believed, if the pages are what it says; all else is checked.

    Args:
        descriptor: of the file of the pages; it is the images' from then on.
        place: where its content lies; ``size``: bytes of that.
        summed: the sum of its whole pages, if it is known.
    """
    if len(data) < HEAD.size:
        return None
    form, count, covered, total, known = HEAD.unpack_from(data)
    place += -place % PAGE
    size -= size % PAGE
    if form != FORM or not 0 < count <= MAX_RUNS or len(data) != HEAD.size + count * RUN.size or total != size:
        return None
    runs, behind, last = [], place, 0
    for start, length in RUN.iter_unpack(data[HEAD.size :]):
        if start % PAGE or length % PAGE or not length or start < last:
            return None
        runs.append((start, length, behind))
        behind, last = behind + length, start + length
    memory = model.memory_types[0] if len(model.memory_types) == len(model.memories) == 1 else None
    if memory is None or last > memory.limits.minimum << memory.page_shift or covered != coverable(model):
        return None
    if behind != place + total or (summed or sum_of_file(descriptor, place, total)) != known:
        return None
    return image_in_file(covered, tuple(runs), descriptor)
