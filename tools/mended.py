"""What Cython writes wrong into the C of modules, and how it is right.

Where a list that a comprehension makes cannot grow, Cython 3.3.1 lets go of the item twice: once in
``__Pyx_ListComp_AppendAndDecref``, which is said to take the item only if it adds it, and once where the error is
handled. What somebody else still has is freed then: it showed as crashes of hosts that have no memory.

An exception whose traceback there was no memory for has none, and ``__Pyx_GetException`` says NULL, which ``with``
puts into a tuple and a ``return`` in an ``except`` lets go of as if it were an object: a crash. It is None instead, and
``__Pyx_ErrRestore`` takes None for none: that is where an exception goes on.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple


class Mend(NamedTuple):
    """A function of Cython's, by a line that only C which has it has; what is wrong there; how that is right; and what
    to look at where a Cython writes it otherwise."""

    name: str
    wrong: str
    right: str
    doubt: str


RESTORE: Final = (
    "static CYTHON_INLINE void __Pyx_ErrRestoreInState("
    "PyThreadState *tstate, PyObject *type, PyObject *value, PyObject *tb) {\n"
)
NONE: Final = "    if (unlikely(tb == Py_None)) {\n        Py_DECREF(tb);\n        tb = NULL;\n    }\n"
MENDS: Final = (
    Mend(
        "static CYTHON_INLINE int __Pyx_ListComp_AppendAndDecref(PyObject* list, PyObject* x) {",
        "    int result = PyList_Append(list, x);\n    Py_DECREF(x);\n    return result;\n",
        "    int result = PyList_Append(list, x);\n    if (result == 0) Py_DECREF(x);\n    return result;\n",
        "whether it lets go of an item twice where the list cannot grow",
    ),
    Mend(
        "static int __Pyx__GetException(PyThreadState *tstate, PyObject **type, PyObject **value, PyObject **tb)\n",
        "    Py_XINCREF(local_tb);\n    Py_XINCREF(local_type);\n",
        "    if (unlikely(!local_tb)) {\n        local_tb = Py_None;\n        Py_INCREF(local_tb);\n    }\n"
        "    Py_XINCREF(local_tb);\n    Py_XINCREF(local_type);\n",
        "whether it says NULL of an exception without a traceback",
    ),
    Mend(RESTORE, RESTORE + "#if ", RESTORE + NONE + "#if ", "whether it can be told that a traceback is None"),
)
DIGEST: Final = blake2b(Path(__file__).read_bytes(), digest_size=4).hexdigest()
"""Says that what is written right has changed: modules are compiled anew."""


def mended(text: str) -> str:
    """C of a module with what is wrong in it right. ValueError: a function is there, and has not the text that was
    wrong: this Cython is another one, to be looked at."""
    for name, wrong, right, doubt in MENDS:
        if name not in text:
            continue
        if wrong not in text:
            function = next(word for word in name.replace("(", " ").split() if word.startswith("__Pyx_"))
            raise ValueError(
                f"Cython no longer writes {function} as it did: see {doubt}, and what tools/mended.py should make of it"
            )
        text = text.replace(wrong, right)
    return text
