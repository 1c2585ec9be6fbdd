# strata: hot
"""Sizes and times of all files of some endings in a folder and below: in a quarter of the time that ``os.scandir`` and
``stat`` of each take."""

import os

import cython
from cython.cimports.libc.errno import errno
from cython.cimports.stratavm.base.filetimes import DIR, Times, closedir, next_entry, opendir, times_of


def files_below(folder: str, endings: tuple, skipped: str) -> list:
    """Each file whose name ends so: its path from the folder, bytes, times of the last change of its content and of
    anything, in nanoseconds since the epoch; in no order. Of a link what it leads to; links to folders are not followed.

    Args:
        folder: where; ``endings``: with their dots.
        skipped: folders of this name are left out.

    Raises:
        OSError: a folder cannot be read, or a file not be looked at.
    """
    found: list = []
    collect(os.fsencode(folder), b"", tuple([os.fsencode(ending) for ending in endings]), os.fsencode(skipped), found)
    return found


@cython.cfunc
@cython.exceptval(-1)
def collect(folder: bytes, before: bytes, endings: tuple, skipped: bytes, found: list) -> cython.int:
    """Those of one folder, whose path from the first one is ``before``."""
    times: Times
    is_folder: cython.int = 0
    failure: cython.int
    listing: cython.pointer(DIR) = opendir(folder)
    if listing == cython.NULL:
        failure = errno
        raise OSError(failure, os.strerror(failure), os.fsdecode(folder))
    try:
        while True:
            entry: cython.p_const_char = next_entry(listing, cython.address(is_folder))
            if entry == cython.NULL:
                break
            name: bytes = entry
            if is_folder:
                if name != skipped:
                    collect(folder + b"/" + name, before + name + b"/", endings, skipped, found)
            elif name.endswith(endings):
                if times_of(listing, entry, cython.address(times)):
                    failure = errno
                    raise OSError(failure, os.strerror(failure), os.fsdecode(folder + b"/" + name))
                found.append((os.fsdecode(before + name), times.size, times.mtime_ns, times.ctime_ns))
        failure = errno
        if failure:
            raise OSError(failure, os.strerror(failure), os.fsdecode(folder))
    finally:
        closedir(listing)
    return 0
