# strata: hot
"""Cells with arguments and results of calls that lie on no stack which collections look through: they have memory of
their own, or the top of a fiber's stack. From the guest's return until Python has what the results refer to, nothing
else holds that.

Everything here is under the GIL. Who keeps cells drops them before their memory goes.
"""

import cython

first = cython.declare(cython.pointer(ResultCells), cython.NULL)


def keep_cells(cells, context, words, n):
    """Collections of a store's objects look at so many words from here on."""
    global first
    cells.exec = context
    cells.words = words
    cells.n = n
    cells.before = cython.NULL
    cells.after = first
    if first != cython.NULL:
        first.before = cells
    first = cells


def drop_cells(cells):
    """They do no longer, if they did."""
    global first
    if cells.exec == cython.NULL:
        return
    cells.exec = cython.NULL
    if cells.before == cython.NULL:
        first = cells.after
    else:
        cells.before.after = cells.after
    if cells.after != cython.NULL:
        cells.after.before = cells.before


def next_cells(context, after):
    """The first cells of a store, or those behind others of it; NULL: there are no more."""
    found: cython.pointer(ResultCells) = first if after == cython.NULL else after.after
    while found != cython.NULL and found.exec != context:
        found = found.after
    return found
