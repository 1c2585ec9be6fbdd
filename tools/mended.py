"""What Cython writes wrong into the C of modules, and how it is right.

Where a list that a comprehension makes cannot grow, Cython 3.3.1 lets go of the item twice: once in
``__Pyx_ListComp_AppendAndDecref``, which is said to take the item only if it adds it, and once where the error is
handled. What somebody else still has is freed then: it showed as crashes of hosts that have no memory.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

NAME: Final = "static CYTHON_INLINE int __Pyx_ListComp_AppendAndDecref(PyObject* list, PyObject* x) {"
WRONG: Final = "    int result = PyList_Append(list, x);\n    Py_DECREF(x);\n    return result;\n"
RIGHT: Final = "    int result = PyList_Append(list, x);\n    if (result == 0) Py_DECREF(x);\n    return result;\n"
DIGEST: Final = blake2b(Path(__file__).read_bytes(), digest_size=4).hexdigest()
"""Says that what is written right has changed: modules are compiled anew."""


def mended(text: str) -> str:
    """C of a module with what is wrong in it right. ValueError: the function is there, and has not the text that was
    wrong: this Cython is another one, to be looked at."""
    if NAME not in text:
        return text
    if WRONG not in text:
        raise ValueError(
            "Cython no longer writes __Pyx_ListComp_AppendAndDecref as it did: see whether it lets go of an item twice "
            "where the list cannot grow, and what tools/mended.py should make of it"
        )
    return text.replace(WRONG, RIGHT)
