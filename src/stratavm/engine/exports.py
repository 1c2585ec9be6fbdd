"""An instance's exports: attributes and a mapping."""

# strata: hot
from collections.abc import ItemsView, KeysView, Mapping, ValuesView

import cython
from cython.cimports.cpython.object import PyObject_GenericGetAttr
from cython.cimports.stratavm.engine.func import Func
from cython.cimports.stratavm.engine.store import Store
from cython.cimports.stratavm.runtime.instance import Instance as NativeInstance
from cython.cimports.stratavm.runtime.occupancy import is_closed

from stratavm.base.errors import Closed
from stratavm.base.words import some
from stratavm.engine.introspect import Signed
from stratavm.engine.missing import NoAttribute, NoItem
from stratavm.engine.objects import wrap

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

# Names of every mapping's, or object's, own: an export that is called so is an item only.
OWN: frozenset = cython.declare(frozenset, frozenset())


@cython.collection_type("mapping")
@cython.final
@cython.cclass
class Exports:
    """Exports by name, in the module's order: ``exports.add`` or ``exports["add"]``.

    Their Python objects are made when they are first asked for, and stay the same from then on.
    """

    __signature__ = Signed("Exports")

    __reversed__ = None  # no sequence, although it has items and a length

    def __cinit__(self, store: Store, native: NativeInstance, index: dict):
        self.store = store
        self.native = native
        self.index = index
        self.made = {}

    @cython.cfunc
    def find(self, name: object) -> object:
        """The object of an export. KeyError where there is none, Closed where it is too late to make it."""
        made: object = self.made.get(name)
        if made is None:
            kind, index = self.index[name]
            if is_closed(self.store.native):
                raise Closed("the store of these exports is closed")
            if kind == "func":
                made = Func(self.store, self.native.callee(index))
            else:
                made = wrap(self.store, self.native.export(kind, index))
            made = self.made.setdefault(name, made)
        return made

    def __getitem__(self, name: str) -> object:
        if name not in self.index:
            raise NoItem(name, self.index)
        return self.find(name)

    # Not ``__getattr__``: an error would be raised and dropped at each access.
    def __getattribute__(self, name: str) -> object:
        if name in OWN:
            return PyObject_GenericGetAttr(self, name)
        if name not in self.index:
            raise NoAttribute(name, self.index)
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __iter__(self):
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def __eq__(self, other: object) -> object:
        return dict(self.items()) == dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def get(self, name: str, default: object = None) -> object:
        """An export, or ``default``."""
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
