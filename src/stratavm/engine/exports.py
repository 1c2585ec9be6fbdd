# cython: binding=True, embedsignature=False
"""An instance's exports: attributes and a mapping."""

# strata: hot
from _collections_abc import ItemsView, KeysView, Mapping, ValuesView
from _weakref import ref

import cython
from cython.cimports.cpython.object import PyObject_GenericGetAttr
from cython.cimports.cpython.ref import Py_REFCNT
from cython.cimports.stratavm.engine.func import Func
from cython.cimports.stratavm.runtime.globals import Global
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.occupancy import is_closed

from stratavm.base.errors import Closed
from stratavm.base.importing import begin_import, end_import
from stratavm.base.words import some
from stratavm.runtime.introspect import Signed
from stratavm.runtime.values import told

# Names of every mapping's, or object's, own: an export that is called so is an item only.
OWN: frozenset = cython.declare(frozenset, frozenset())
UNSAID: object = object()
"""What ``get`` is given where nobody names an export."""
OURS = cython.declare(cython.Py_ssize_t, 2)  # references of a loop over the exports to each of them


@cython.collection_type("mapping")
@cython.cclass
class Exports:
    """Exports by name, in the module's order: ``exports.add`` or ``exports["add"]``.

    Their Python objects are made when they are first asked for, and stay the same from then on. What is called as a
    method of all mappings is an item only: ``exports["get"]``, ``"keys"``, ``"items"``, ``"values"``.
    """

    __signature__ = Signed("Exports")

    __reversed__ = None  # no sequence, although it has items and a length

    def __cinit__(self, instance: Instance, index: dict):
        self.instance = instance
        self.index = index
        self.made = {}

    def find(self, name):
        """The object of an export. KeyError where there is none, Closed where it is too late to make it."""
        made: object = self.made.get(name)
        return self.make(name, made) if made is None or self.instance is None else made

    def make(self, name, made):
        """``find`` for what has not been asked for, and for what the store has let go."""
        instance: Instance = self.instance
        kind, index = self.index[name]
        if instance is None or is_closed(instance.store):
            if isinstance(made, ref):
                made = made()
            if made is None:
                raise Closed("the store of these exports is closed")
            return made
        made = instance.export(kind, index)
        if kind == "func":
            made = Func(instance.store, made)
        elif kind == "global":  # not when the instance is made: it may have thousands
            cython.cast(Global, made).type = told(cython.cast(Global, made).type, instance.store)
        elif kind == "memory" and cython.cast(Memory, made).shared is not None:
            made = cython.cast(Memory, made).shared
        if is_closed(instance.store):  # meanwhile, by the collector: what is kept now is kept for ever
            raise Closed("the store of these exports is closed")
        return self.made.setdefault(name, made)

    def let_go(self):
        """The store is closed. What leads back to the instance, which has these, is kept as long as somebody else
        has it: no collector is needed to free them."""
        for name, made in self.made.items():
            if isinstance(made, (Func, Global)):
                self.made[name] = ref(made) if Py_REFCNT(made) > OURS else None
        self.instance = None
        return 0

    def __getitem__(self, name: object) -> object:
        if name not in self.index:
            if not isinstance(name, str):
                raise TypeError(f"name must be a string, as exports are named by, got {name!r:.60}")
            begin_import()
            try:
                from stratavm.engine.missing import NoItem
            finally:
                end_import()

            raise NoItem(name, self.index)
        return self.find(name)

    # Not ``__getattr__``: an error would be raised and dropped at each access.
    def __getattribute__(self, name: str) -> object:
        if name in OWN:
            return PyObject_GenericGetAttr(self, name)
        if name not in self.index:
            begin_import()
            try:
                from stratavm.engine.missing import NoAttribute
            finally:
                end_import()

            raise NoAttribute(name, self.index)
        return self.find(name)

    def __setattr__(self, name: str, value: object) -> None:
        begin_import()
        try:
            from stratavm.engine.missing import NotSet
        finally:
            end_import()

        raise NotSet(name, self.index)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __iter__(self):
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def __eq__(self, other: object) -> object:
        return dict(self.items()) == dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def get(self, name: object = UNSAID, default: object = None) -> object:
        """An export, or ``default``."""
        if name is UNSAID:
            meant: str = '; exports["get"] is what the module exports' if "get" in self.index else ""
            raise TypeError(f"get() takes the name of an export{meant}")
        return self.find(name) if name in self.index else default

    def keys(self) -> object:
        """The names."""
        return KeysView(self)

    def items(self) -> object:
        """Names and exports."""
        return ItemsView(self)

    def values(self) -> object:
        """The exports."""
        return ValuesView(self)

    def __dir__(self) -> list:
        return [*self.index, "get", "items", "keys", "values"]

    def __repr__(self) -> str:
        return f"<Exports {some(self.index, 20)}>"


OWN = frozenset(dir(Exports))
Mapping.register(Exports)
