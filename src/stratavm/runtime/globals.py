# cython: binding=True, embedsignature=False
"""Global variables: a cell of raw bits, on its own or inside an instance's VMContext."""

# strata: hot
import cython
from cython.cimports.stratavm.heap.mark import mark_range
from cython.cimports.stratavm.heap.state import HeapState
from cython.cimports.stratavm.runtime.handles import Marks, are_marked_by
from cython.cimports.stratavm.runtime.objects import are_visited_by
from cython.cimports.stratavm.runtime.occupancy import is_closed
from cython.cimports.stratavm.runtime.store import Store

from stratavm.base.errors import StoreBusy
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import integer, shown, truth
from stratavm.runtime.events import GlobalCreated, GlobalSet
from stratavm.runtime.func import cell_widths
from stratavm.runtime.introspect import Signed
from stratavm.runtime.values import (
    MISFITS,
    called,
    from_raw,
    outside,
    spelled,
    to_raw_alone,
    told,
    value_type,
    why_immutable,
)
from stratavm.spec.types import EXN, NOEXN, GlobalType, heap, holds_handles, holds_objects, type_name

traits: dict = {}
"""Cell width, and whether it holds handles, by value type: asked for at every global of every instance."""


@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Global:
    """A global variable; ``value`` reads and, if it is mutable, writes it.

    Attributes:
        type: its type.
        store: where it lives.
    """

    __signature__ = Signed("Global")

    def __init__(self, store: Store, type: GlobalType, bits: object = 0):
        if self.store is not None:
            raise TypeError("a global is initialised once")
        self.cell = self.own  # first: what fails behind leaves a global that can be read
        prepare(self, store, type)
        become_root(self)
        self.bits = bits

    @classmethod
    @checks_keywords
    def new(cls, store: Store, type_: object, value: object, *, mutable: object = False) -> Global:
        """A global of a value type: ``"i32"``, ``"i64"``, ``"f32"``, ``"f64"``, ``"v128"`` (16 bytes), ``"funcref"``,
        ``"externref"``, or of the type of a typed reference that something of its engine shows: ``table.type.element``,
        ``global.type.value``, ``function.type.params[0]``, ``module.imports[0].type.value``. A ``GuestType`` stands for
        references to its objects or null; ``GuestType.ref(nullable=False)`` is without null.

        Raises:
            ValueError: there is no such type, or Python cannot give its values.
            TypeError, OverflowError: the value is none of the type; the ``GuestType`` is another engine's.
        """
        truth("mutable", mutable)
        known: object = value_type(type_, store)
        store.keep_type(known)
        made: Global = global_of(store, told(GlobalType(known, mutable), store), value)
        if cls is not Global:  # somebody's, who may have more to do
            made = cls(store, made.type, made.bits)
        if store.source.hears(GlobalCreated):
            store.source.emit(GlobalCreated(type_name(known), mutable, made.bits))
        return made

    @property
    def value(self) -> object:
        """The present value."""
        if self.holds_handles and heap(self.type.value) not in (EXN, NOEXN):
            self.store.check_entry()  # from here to the thing nothing of Python's runs: nobody collects
            return self.store.thing_of(self.cell[0])
        return from_raw(self.type.value, self.bits, self.store)

    @value.setter
    def value(self, value: object):
        if not self.type.mutable:
            raise AttributeError(why_immutable(self, self.owner))
        try:
            put(self, value)
        except (TypeError, OverflowError) as error:
            if type(error) not in MISFITS:
                raise
            raise type(error)(f"{called('global', self, self.owner)}: {error}") from None
        if self.store.source is not None and self.store.source.hears(GlobalSet):
            self.store.source.emit(GlobalSet(type_name(self.type.value), self.bits))

    @property
    def bits(self) -> int:
        """The value as raw bits; for tools and tests."""
        self.store.check_entry()
        if self.width == 16:
            return self.cell[0] | (cython.cast(object, self.cell[1]) << 64)
        return self.cell[0]

    @bits.setter
    def bits(self, bits: object):
        if type(bits) is not int:
            bits = integer("bits", bits)
        self.store.check_entry()
        if bits < 0 or bits >> (8 * self.width):
            raise OverflowError(f"{shown(bits)} does not fit {8 * self.width} bits")
        if self.holds_functions:
            self.store.check_reference(self.type.value, bits)
        elif self.holds_handles:
            self.store.check_word(self.type.value, bits)
        self.cell[0] = bits & 0xFFFFFFFFFFFFFFFF
        if self.width == 16:
            self.cell[1] = bits >> 64

    def __reduce__(self):
        raise TypeError("a global of a store cannot be pickled")

    def __repr__(self) -> str:
        if self.store is None:
            return "<Global that was never initialised>"
        hidden: cython.bint = heap(self.type.value) in (EXN, NOEXN)
        shown: str = "?"
        if not (is_closed(self.store) or hidden):
            try:
                shown = repr(self.value)
            except StoreBusy:  # another thread is inside, whose guest changes it meanwhile
                shown = "?"
        return f"<Global {'mut ' if self.type.mutable else ''}{spelled(self.type.value, self.store)} = {shown}>"


@cython.cfunc
def prepare(variable: Global, store: Store, type: object) -> cython.int:
    """What a global knows of its type."""
    value: object = int(type.value)
    marked: object = traits.get(value)
    if marked is None:
        if len(traits) >= 4096:  # a cache: modules may have any number of reference types
            traits.clear()
        traits[value] = marked = (cell_widths((value,))[0], holds_handles(outside(value)))
    variable.store = store
    variable.type = type
    variable.holds_functions = marked[0] == 9
    variable.width = 8 if marked[0] in (9, 10) else marked[0]
    variable.holds_handles = marked[1]
    return 0


@cython.cfunc
def become_root(variable: Global) -> cython.int:
    """What it holds is held. Those of instances are roots by these: ``Blueprint.root_runs``."""
    if variable.holds_handles:
        value: object = int(variable.type.value)
        variable.store.add_root(variable, heap(value) in (EXN, NOEXN) or holds_objects(outside(value)))
    return 0


@cython.cfunc
def global_of(store: Store, type: object, value: object) -> Global:
    """A new global that has a value of Python's, for whose handle it is a root before there is one: whatever runs
    while the global is made may collect. Whoever it is for calls the value ``value``."""
    made: Global = Global.__new__(Global)
    made.cell = made.own
    prepare(made, store, type)
    become_root(made)
    try:
        put(made, value)
    except (TypeError, OverflowError) as error:
        if error.__class__ not in MISFITS:
            raise
        raise error.__class__(f"value: {error}") from None
    return made


@cython.cfunc
def put(variable: Global, value: object) -> cython.int:
    """Write a value of Python's. Until the global has it, its handle lies nowhere, and a function that anybody traces
    may run whatever collects."""
    store: Store = variable.store
    pins: cython.int = 1 if variable.holds_handles else 0  # what makes a number of a value may collect
    store.check_entry()  # before anything of the value's runs, and behind it
    store.pinned += pins
    try:
        variable.bits = to_raw_alone(variable.type.value, value, store)
    finally:
        store.pinned -= pins
    return 0


def held_on_its_way(store, type, value):
    """The same where nobody gets to see it: it holds what is to be written somewhere else."""
    return global_of(store, GlobalType(type, False), value)


def global_at(store, type, owner, cell):
    """The global whose cell lies inside the owner's VMContext."""
    variable: Global = Global.__new__(Global)
    prepare(variable, store, type)
    variable.owner = owner
    variable.cell = cell
    return variable


@cython.cfunc
@cython.exceptval(check=False)
def tell_of(holder: object, state: cython.pointer(HeapState)) -> cython.void:
    """The references in a global, for a collection of objects."""
    variable: Global = holder
    if variable.cell != cython.NULL:
        mark_range(state, variable.cell, 1)


are_visited_by(Global, tell_of, True)


@cython.cfunc
@cython.exceptval(check=False)
def mark_handles(holder: object, marks: Marks) -> cython.void:
    """The handle in a global."""
    variable: Global = holder
    if variable.cell != cython.NULL:
        marks.add_words(variable.cell, 1)


are_marked_by(Global, mark_handles)
