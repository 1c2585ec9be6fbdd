"""Which files hold whole images: one that was checked once need not be digested again, as long as it stays the same."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from stratavm.aot.container import Image, sum_of
from stratavm.base import switches
from stratavm.base.forms import Final, replace
from stratavm.engine.codecache import FileIdentity
from stratavm.module.reader import sum_of as total_of
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders, digest

LEAST_BYTES: Final = 1 << 20
"""Of an image: others are digested in less time than it takes to look."""


def checked(image: Image, file: os.stat_result, total: bytes) -> Image:
    """The image; its sections are not checked again if that was done with the file as it is: by its numbers, as those
    of binaries are known, and by a sum of its bytes.

    Args:
        file: what the kernel says of the file, which did not change meanwhile.
        total: the sum of its bytes, where it is known.
    """
    identity = FileIdentity.of(file)
    if len(image.data) < LEAST_BYTES or not identity.own or switches.CACHE.value():
        return image
    try:
        disk = DiskCache(*default_folders())
    except CacheRefused:
        return image
    key = digest(b"image", identity.key(total or total_of(image.data)))
    said = sum_of(image.signed, image.mark)
    if disk.find(key)[0] != said:
        with suppress(ValueError):  # damaged: whoever asks for that section hears of it
            for name in image.sections:
                image.section(name)
            if identity.settled(time.time_ns()):
                with suppress(OSError):
                    disk.keep(key, said, "whole image")
            return replace(image, is_whole=True)
        return image
    return replace(image, is_whole=True)
