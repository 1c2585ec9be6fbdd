"""The name section: debug names by index, read leniently. A broken subsection is left out, never an error."""

# strata: hot

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.base.leb import bytes_t
from cython.cimports.stratavm.module.reader import Reader, pause

from stratavm.base.errors import DecodeError
from stratavm.module.model import NESTED_NAMES, PLAIN_NAMES, Names


@cython.cfunc
def name_map(r: Reader) -> dict:
    """Names by index; the last of two names for one index wins."""
    table: dict = {}
    for _ in range(r.u32()):
        pause(r)
        index: uint32_t = r.u32()
        table[index] = r.name()
    return table


@cython.cfunc
def nested_map(r: Reader) -> dict:
    """Names by outer and inner index."""
    table: dict = {}
    for _ in range(r.u32()):
        pause(r)
        index: uint32_t = r.u32()
        table[index] = name_map(r)
    return table


@cython.cfunc
def subsection(r: Reader, section: cython.int, found: dict) -> object:
    """Read one subsection into ``found``."""
    if section == 0:
        found["module"] = r.name()
    elif section in PLAIN_NAMES:
        found[PLAIN_NAMES[section]] = name_map(r)
    elif section in NESTED_NAMES:
        found[NESTED_NAMES[section]] = nested_map(r)
    return None


def read_names(data, limits):
    """The names of a ``name`` section's content."""
    r: Reader = Reader(data, frozenset(), limits)
    end: bytes_t = r.end
    found: dict = {}
    try:
        while r.left():
            section: cython.int = r.byte()
            size: cython.Py_ssize_t = r.u32()
            if size > r.left():
                break
            r.end = r.at + size
            try:
                subsection(r, section, found)
            except DecodeError:  # names are for people: what cannot be read is left out
                r.at = r.end
            r.at = r.end
            r.end = end
    except DecodeError:
        pass
    return Names(**found)
