# strata: hot
"""Greenlets move parts of the C stack away, and with them the activations of guests: those must stay a stack.

Owns the knowledge of who uses greenlets and which one runs. Host calls note theirs in the thread block; a store that is
entered while one waits asks ``in_other_greenlet``.
"""

import cython
from cython.cimports.cpython.module import PyImport_GetModuleDict

current_greenlet = None


def notice_greenlets():
    """Look whether somebody has imported ``greenlet``, or gevent, which does."""
    global current_greenlet
    modules: dict = cython.cast(dict, PyImport_GetModuleDict())
    found: object = modules.get("greenlet")
    current_greenlet = None if found is None else getattr(found, "getcurrent", None)
    return 0


def greenlet_here():
    """Identity of the running greenlet; it lives as long as a call is suspended in it. NULL without greenlets."""
    if current_greenlet is None:
        return cython.NULL
    here: object = current_greenlet()
    return cython.cast(cython.p_void, here)


def in_other_greenlet(block):
    """Whether this thread's innermost host call runs in another greenlet than this code.

    A host call from before ``greenlet`` was noticed has run in the thread's first greenlet, which has no parent.
    """
    notice_greenlets()
    if current_greenlet is None:
        return False
    if block.greenlet == cython.NULL:
        return current_greenlet().parent is not None
    return block.greenlet != greenlet_here()
