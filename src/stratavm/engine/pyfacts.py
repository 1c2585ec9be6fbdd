# strata: hot
"""What the machine code of calls takes for granted of this CPython, and the check that it is so.

Offsets come from CPython's headers, addresses from the running process. That leaves how an int spells its value, that
the small ints lie in a row, and whether they are counted: that is looked at here, at import, in the way in which the
machine code does it. Where anything differs the machine code is not used, and a ``RuntimeWarning`` says why.
"""

import sys
from _struct import pack

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.events.ring import Ring
from cython.cimports.stratavm.runtime.ticker import TICKER_TICKS, ticker_state

from stratavm.base.importing import warnings
from stratavm.runtime.threads import block_offsets

TESTED = ((3, 11), (3, 12), (3, 13))
"""Versions of CPython on which the tests of this module run (``make versions``)."""
SMALLEST = cython.declare(cython.int, -5)
LARGEST = cython.declare(cython.int, 256)


@cython.cfunc
@cython.exceptval(check=False)
def address_of(thing: object) -> uint64_t:
    """Where an object lies."""
    return cython.cast(uint64_t, cython.cast(cython.p_void, thing))


def python_layout() -> dict[str, object]:
    """The part of ``PythonFacts`` that is CPython's alone."""
    small: uint64_t = address_of(SMALLEST)
    return {
        "type_at": TYPE_AT,
        "refcount_at": REFCOUNT_AT,
        "int_head_at": INT_HEAD,
        "int_digit_at": INT_DIGIT,
        "float_value_at": FLOAT_AT,
        "int_type": cython.cast(uint64_t, cython.address(PyLong_Type)),
        "float_type": cython.cast(uint64_t, cython.address(PyFloat_Type)),
        "none": cython.cast(uint64_t, None_),
        "small_ints": small,
        "small_int_bytes": address_of(SMALLEST + 1) - small,
        "tagged": bool(TAGGED),
        "immortal": sys.version_info >= (3, 12),
        "from_int": cython.cast(uint64_t, cython.cast(cython.p_void, PyLong_FromLong)),
        "from_float": cython.cast(uint64_t, cython.cast(cython.p_void, PyFloat_FromDouble)),
        "from_bytes": cython.cast(uint64_t, cython.cast(cython.p_void, PyBytes_FromStringAndSize)),
    }


def runtime_layout() -> dict[str, int]:
    """The part that is the runtime's: thread blocks, the ring of events, the ticker."""
    ring: cython.pointer(Ring) = cython.NULL
    block: dict = block_offsets()
    tls: int = block.pop("tls")
    return {
        "ticker_state": cython.cast(uint64_t, cython.address(ticker_state)),
        "ticks": TICKER_TICKS,
        "tls": tls,
        "ring_head_at": cython.cast(uint64_t, cython.address(ring.head)),
        "ring_tail_at": cython.cast(uint64_t, cython.address(ring.tail)),
        "ring_overflow_at": cython.cast(uint64_t, cython.address(ring.overflow)),
        **{f"block_{name}_at": offset for name, offset in block.items()},
    }


@cython.cfunc
def word(thing: object, offset: int) -> uint64_t:
    """Eight bytes of an object."""
    at: uint64_t = address_of(thing) + offset
    return cython.cast(cython.pointer(uint64_t), at)[0]


@cython.cfunc
def digit(thing: object, offset: int) -> int64_t:
    """Four bytes of an object."""
    at: uint64_t = address_of(thing) + offset
    return cython.cast(cython.pointer(uint32_t), at)[0]


def one_digit_value(number: int, layout: dict) -> object:
    """The value of an int as the machine code reads it, or None where it leaves the int to others."""
    head: uint64_t = word(number, layout["int_head_at"])
    if layout["tagged"]:
        if head >= 2 << 3:
            return None
        return (1 - cython.cast(int64_t, head & 3)) * digit(number, layout["int_digit_at"])
    if head + 1 > 2:
        return None
    return cython.cast(int64_t, head) * digit(number, layout["int_digit_at"])


def complaints(layout: dict, version: tuple = sys.version_info[:2]) -> list[str]:
    """What is wrong with a layout in this process; nothing if calls may rely on it."""
    found: list = []
    n: int
    if version not in TESTED:
        found.append(f"Python {version[0]}.{version[1]} is not among those tested")
    if not PLAIN_OBJECTS or DIGIT_BYTES != 4 or sys.implementation.name != "cpython":
        found.append("this interpreter's objects have another head or other digits")
        return found  # nothing below may be read
    for thing, type_ in ((1, "int_type"), (1.0, "float_type")):
        if word(thing, layout["type_at"]) != layout[type_]:
            found.append(f"the type of {thing!r} is not where it should be")
    if word(True, layout["type_at"]) == layout["int_type"]:
        found.append("a bool looks like an int")
    if not found:
        found += wrong_ints(layout)
        found += wrong_counts(layout)
    for number in (1.5, -0.0, 1e300):
        raw: object = word(number, layout["float_value_at"]).to_bytes(8, "little").hex()
        if raw != cython.cast(object, float_bits(number)):
            found.append(f"the float {number} is not where it should be")
    return found


@cython.cfunc
def float_bits(number: object) -> object:
    """The bits of a float, spelled."""
    return pack("<d", number).hex()


@cython.cfunc
def wrong_ints(layout: dict) -> list:
    """Ints whose value is not read as it is, small ints that are not in the row."""
    found: list = []
    place: uint64_t = layout["small_ints"]
    step: uint64_t = layout["small_int_bytes"]
    number: cython.int
    for number in range(SMALLEST, LARGEST + 1):
        if address_of(number) != place:
            found.append(f"the int {number} is not in the row of small ints")
            break
        place += step
    for bits in range(65):
        for n in {1 << bits, (1 << bits) - 1, (1 << bits) + 1}:
            for signed in (n, -n):
                value: object = one_digit_value(signed, layout)
                if value != (signed if -(1 << 30) < signed < 1 << 30 else None):
                    return [*found, f"the int {signed} reads as {value}"]
    return found


@cython.cfunc
def wrong_counts(layout: dict) -> list:
    """Objects whose reference count does not do what the machine code expects."""
    found: list = []
    for thing, name in ((7, "7"), (None, "None")):
        before: uint64_t = word(thing, layout["refcount_at"])
        more: list = [thing, thing, thing]
        after: uint64_t = word(thing, layout["refcount_at"])
        if after - before != (0 if layout["immortal"] else len(more)):
            found.append(f"three more references to {name} count {after - before}")
    return found


def report(found: list[str]) -> None:
    """Say loudly that calls do without machine code of their own."""
    if found:
        warnings.warn(
            "calls from Python take the generic path, which needs about half as long again: " + "; ".join(found),
            RuntimeWarning,
            stacklevel=2,
        )
