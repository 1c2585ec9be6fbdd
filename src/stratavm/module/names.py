"""The name section: debug names by index, read leniently. A broken subsection, or one that cannot be read any more, is
left out, never an error.
"""

# strata: hot

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.base.leb import bytes_t
from cython.cimports.stratavm.module.reader import Reader, pause

from stratavm.base.errors import DecodeError
from stratavm.base.importing import partial
from stratavm.module.model import NESTED_NAMES, PLAIN_NAMES, Names

SECTION_HEAD = 6
"""A subsection's id and size take no more."""


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
def subsection(r: Reader, section: cython.int, found: dict, wanted: object) -> object:
    """Read one subsection into ``found``, if it is ``wanted``."""
    if section == 0:
        if wanted is None or wanted == "module":
            found["module"] = r.name()
    elif section in PLAIN_NAMES:
        if wanted is None or wanted == PLAIN_NAMES[section]:
            found[PLAIN_NAMES[section]] = name_map(r)
    elif section in NESTED_NAMES and (wanted is None or wanted == NESTED_NAMES[section]):
        found[NESTED_NAMES[section]] = nested_map(r)
    return None


def kind_of(section: int) -> str:
    """What a subsection names; empty where nobody knows."""
    return "module" if section == 0 else PLAIN_NAMES.get(section) or NESTED_NAMES.get(section, "")


def read_part(place: tuple, wanted: str | None) -> dict:
    """What a name section has of one kind of names; None: of all."""
    data, limits, begin, finish, rest = place
    r: Reader = Reader(data, frozenset(), limits, begin, finish)
    end: bytes_t = r.end
    found: dict = {}
    try:
        while r.left():
            if rest is not None:
                rest.need(r.offset(), r.offset() + SECTION_HEAD)
            section: cython.int = r.byte()
            size: cython.Py_ssize_t = r.u32()
            if size > r.left():
                break
            r.end = r.at + size
            if rest is not None and (wanted is None or kind_of(section) == wanted):
                rest.need(r.offset(), r.offset() + size)
            try:
                subsection(r, section, found, wanted)
            except DecodeError:  # names are for people: what cannot be read is left out
                r.at = r.end
            r.at = r.end
            r.end = end
    except (DecodeError, OSError):  # the second: the file has changed
        pass
    return found


def read_names(place):
    """The names of a ``name`` section: of some bytes, within limits, from one offset up to another, which ``rest``
    reads if it is not None."""
    return Names(**read_part(place, None))


def unread_names(place):
    """The same, of a section that was read before: each kind of names when somebody asks for it."""
    return Names.unread(partial(read_part, place))
