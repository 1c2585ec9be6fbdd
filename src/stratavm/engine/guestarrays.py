"""Arrays of NumPy of the values of a guest's object that is no buffer: copies."""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.importing import importing

if TYPE_CHECKING:
    from stratavm.engine.guestobjects import GuestObject


def array_of(thing: GuestObject, dtype: Any, copy: bool | None, leads_on: Callable[[Any], bool]) -> Any:
    """What ``__array__`` of an object gives.

    Args:
        thing: the object.
        dtype: of the array. Without one, objects among the values that are no buffers stay what they are, for they may
            lead back here.
        copy: False where none may be made.
        leads_on: whether a value is such an object.

    Raises:
        ValueError: there is no array without a copy.
        TypeError: a ``dtype`` is given, and what the object refers to refers to more.
        Closed, StoreBusy: as for all of its values.
    """
    with importing:
        import numpy

    values = list(thing)
    if copy is False:  # None: if it has to be
        raise ValueError("an array of a guest's references or fields cannot be had without a copy")
    nested = [value for value in values if leads_on(value)]
    if not nested:
        return numpy.array(values, dtype)
    if dtype is not None and numpy.dtype(dtype) != object:
        if any(leads_on(inner) for value in nested for inner in value):
            raise TypeError(f"what {thing.type.title} refers to refers to more: that is no array of {dtype}")
        return numpy.array(values, dtype)
    made = numpy.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        made[at] = value  # one by one: of a list NumPy would ask what is in them
    return made
