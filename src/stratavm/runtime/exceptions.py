# cython: binding=True, embedsignature=False
# strata: hot
"""Exceptions of WebAssembly: tags, what was thrown, and the way between guests and Python. Who catches one is not known
here.

An ``Exn`` has the raw values. Guests that keep one have a handle of it, as of a Python object. ``WasmException`` is
what Python sees; it is made where an exception leaves for the host.
"""

from sys import modules

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import (
    ARG_CELL,
    ATTENTION_THROWN,
    BUILTIN_EXN_REF,
    BUILTIN_RETHROW,
    BUILTIN_THROW,
    BUILTIN_THROW_REF,
    STATUS_THROW,
    TRAP_HOST_EXCEPTION,
    TRAP_NULL_REFERENCE,
    ExecContext,
    TagDef,
    VMContext,
)
from cython.cimports.stratavm.runtime.func import cell_widths, fill_cells, read_cells
from cython.cimports.stratavm.runtime.gil import leave_guest
from cython.cimports.stratavm.runtime.handles import Handles
from cython.cimports.stratavm.runtime.held import free_unheld
from cython.cimports.stratavm.runtime.objects import is_reference
from cython.cimports.stratavm.runtime.occupancy import is_closed, mark
from cython.cimports.stratavm.runtime.python import PyGC_Disable, PyGC_Enable
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.residents import HANDLE_BYTES
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.template import builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block
from cython.cimports.stratavm.runtime.trapped import offer

from stratavm.base.errors import ResourceLimit
from stratavm.base.importing import begin_import, end_import
from stratavm.base.keywords import checks_keywords
from stratavm.base.text import printable
from stratavm.runtime.introspect import Signed
from stratavm.runtime.values import arguments_to_raw, from_raw, signature, spelled, told, value_type
from stratavm.spec.types import (
    EXN,
    NOEXN,
    FuncType,
    TagType,
    heap,
    holds_handles,
    is_ref,
)

OBJECT_BYTES = cython.declare(uint64_t, 112)  # an Exn, the allocator's part of it and of its cells


@cython.no_gc_clear  # __dealloc__ of its exceptions uses it
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Tag:
    """A tag of exceptions: two are the same only if they are the same object.

    Attributes:
        type: its type; the values of its exceptions have the types ``type.type.params``.
        store: where it lives.
    """

    __signature__ = Signed("Tag")

    def __init__(self, store: object = None, type: object = None):
        if not isinstance(store, Store) or not isinstance(type, TagType):
            raise TypeError("a tag is made by Tag.new(store, ['i32']), with the types of its exceptions' values")
        used: object = store.runtime.types.of_func(type.type)
        self.keeps = used
        self.begin(store, type, used.ids[len(used.ids) - 1])

    @classmethod
    @checks_keywords
    def new(cls, store: Store, values: object = ()) -> Tag:
        """A tag whose exceptions have values of these types: ``"i32"``, ``"i64"``, ``"f32"``, ``"f64"``, ``"v128"``
        (16 bytes), ``"funcref"``, ``"externref"``, or types of typed references that something of the engine shows. A
        ``GuestType`` stands for references to its objects or null.

        Raises:
            ValueError: one is no type, or Python cannot give its values.
            TypeError: ``values`` is no sequence of types; a ``GuestType`` is another engine's.
        """
        if isinstance(values, FuncType):
            raise TypeError("values must be a sequence of types, got a FuncType: Tag.new(store, type.params) takes its")
        if isinstance(values, (str, int)) or not hasattr(type(values), "__iter__"):
            hint: str = "; a tag of one value is Tag.new(store, [type])"
            raise TypeError(f"values must be a sequence of types, got {values!r:.60}{hint}")
        types: tuple = tuple([value_type(t, store) for t in values])
        for t in types:
            store.keep_type(t)
        return cls(store, TagType(FuncType(types)))

    def begin(self, store, type, type_id):
        """Become a tag of a store."""
        if self.store is not None:
            raise TypeError("a tag is initialised once")
        if is_closed(store):
            raise store.why_closed()
        if type.type.results:
            raise ValueError(f"a tag has no results: {type.type}")
        params: tuple = type.type.params
        self.type = told(type, store)
        self.params = params
        self.widths = cell_widths(params)
        self.handled = tuple([i for i, t in enumerate(params) if holds_handles(t)]) or None
        self.hidden = bool([t for t in params if is_ref(t) and heap(t) in (EXN, NOEXN)])
        self.d.tag = cython.cast(cython.p_void, self)
        self.d.type_id = cython.cast(uint32_t, type_id)
        self.d.n_values = len(params)
        self.store = store
        return 0

    @property
    def definition(self) -> int:
        """Address of the TagDef: what tells it from other tags."""
        return cython.cast(uint64_t, cython.address(self.d))

    @property
    def type_id(self) -> int:
        """Engine-wide canonical type id."""
        return self.d.type_id

    def exception(self, values: object) -> Exn:
        """An exception with values of Python.

        Raises:
            TypeError, OverflowError: they do not fit the types.
        """
        given: tuple = tuple(values)
        self.store.check_entry()
        self.store.pinned += 1  # until the exception holds them, handles of its values lie nowhere
        try:
            try:
                raws: list = arguments_to_raw("exception", self.type.type, given, self.store)
            except ResourceLimit as error:
                self.store.free_handles(error, 1)
                raws = arguments_to_raw("exception", self.type.type, given, self.store)
            return self.exception_of_raw(raws)
        finally:
            self.store.pinned -= 1

    def exception_of_raw(self, raws: object) -> Exn:
        """The same for raw bits, for tiers."""
        return made_exception(self, raws, False)

    def __reduce__(self):
        raise TypeError("a tag of a store cannot be pickled")

    def __repr__(self) -> str:
        if self.store is None:
            return "<Tag that was never initialised>"
        return f"<Tag {signature('', self.type.type)}>"


@cython.cfunc
def name_of(tag: Tag) -> str:
    """What modules call a tag, the one that has it first: by its name section, as an export, as an import; or
    nothing."""
    if tag.name:
        return tag.name
    tag.name = ""
    for instance in tag.store.instances:
        types: object = instance.model.tag_types
        for index in range(len(types)):
            if types[index] == tag.type and instance.export("tag", index) is tag:
                name: object = instance.model.tag_name(index)
                if name:
                    tag.name = printable(name)
                    return tag.name
    return ""


def made_exception(tag, raws, step):
    """An exception with raw values; a ``step`` of a guest throws it whose frames hold all that it has."""
    let_go_of_spent(tag.store)
    exn: Exn = new_exn(tag, step)
    fill_cells(tag.store, exn.cells, raws, tag.widths, tag.params)
    exn.hold()
    return exn


def instance_tag(store, type, type_id):
    """A tag that an instance defines; its module keeps what the id means."""
    tag: Tag = Tag.__new__(Tag)
    tag.begin(store, type, type_id)
    return tag


@cython.no_gc_clear  # __dealloc__ uses the tag
@cython.nonecheck(True)  # as of a tag
@cython.freelist(8)
@cython.final
@cython.cclass
class Exn:
    """An exception of WebAssembly: a tag and values, as raw bits."""

    def __init__(self, *arguments: object):
        raise TypeError("exceptions are made by WasmException(tag, values)")

    def __dealloc__(self):
        if self.cells != cython.NULL:
            give_back(self.tag.store.quota, bytes_of(self.tag))
            free(self.cells)

    def hold(self):
        """Keep what handles among its values mean: guests may hold it for longer than the call."""
        if self.held is None and self.tag.handled is not None:
            self.held = tuple(things_in(self))
        return 0

    def renew(self):
        """Give what is held handles again, before guests see the values."""
        return 0 if self.held is None else renew_in(self, False)

    @property
    def key(self) -> int:
        """What tells its tag from others: ``Tag.definition``."""
        return self.tag.definition

    @property
    def raws(self) -> list:
        """The values as raw bits, for tiers."""
        self.renew()
        return read_cells(self.cells, self.tag.widths)

    @property
    def values(self) -> tuple:
        """The values for Python.

        Raises:
            TypeError: one is an exception: those do not leave guests.
            Closed: one is a reference, and the store is closed.
        """
        at: cython.Py_ssize_t
        found: list = []
        if self.tag.hidden:
            raise TypeError(f"a value of {self.tag!r} is an exception, which cannot cross to Python")
        self.hold()
        raws: list = read_cells(self.cells, self.tag.widths)
        for at in range(len(raws)):
            if self.tag.handled is not None and at in self.tag.handled:
                found.append(self.held[self.tag.handled.index(at)])
            else:
                found.append(from_raw(self.tag.params[at], raws[at], self.tag.store))
        return tuple(found)

    def describe(self) -> str:
        """What it is, in a line: numbers are shown, references are named by their types."""
        at: cython.Py_ssize_t
        shown: list = []
        raws: list = read_cells(self.cells, self.tag.widths)
        for at in range(len(raws)):
            type: object = self.tag.params[at]
            shown.append(
                spelled(type, self.tag.store) if is_ref(type) else repr(from_raw(type, raws[at], self.tag.store))
            )
        name: str = name_of(self.tag)  # again: an instance may have been made since
        if not name:
            return f"unhandled exception: {', '.join(shown) or 'a tag without values'}"
        return f"unhandled exception: {name}({', '.join(shown)})" if shown else f"unhandled exception: {name}"

    def error(self) -> object:
        """The ``WasmException`` that Python sees."""
        self.hold()
        if self.tag.name is None:
            name_of(self.tag)  # while the store is there to ask
        return wasm_exception().of(self)

    def __reduce__(self):
        raise TypeError("an exception of a store cannot be pickled")


@cython.cfunc
def things_in(exn: Exn) -> list:
    """The objects behind handles among an exception's values. Guests' come first, and without a collection of Python's,
    which may run a guest: the frame that threw may be gone, so that nobody else has them."""
    at: cython.Py_ssize_t
    store: Store = exn.tag.store
    was: cython.int = PyGC_Disable()
    try:
        found: list = [None] * len(exn.tag.handled)
        for at in range(len(found)):
            raw: uint64_t = exn.cells[2 * exn.tag.handled[at]]
            if is_reference(raw):
                found[at] = store.extern_from_raw(raw)
    finally:
        if was:
            PyGC_Enable()
    for at in range(len(found)):
        if found[at] is None:
            found[at] = store.extern_from_raw(exn.cells[2 * exn.tag.handled[at]])
    return found


@cython.cfunc
@cython.nonecheck(True)
def new_exn(tag: Tag, step: cython.bint) -> Exn:
    """An exception whose values are all 0."""
    exn: Exn = Exn.__new__(Exn)
    exn.tag = tag
    if bytes_of(tag) > tag.store.quota.total - tag.store.quota.held:
        make_room(tag.store, step)
    tag.store.quota.check(bytes_of(tag), "an exception")
    exn.cells = cython.cast(cython.pointer(uint64_t), calloc(tag.d.n_values + 1, ARG_CELL))
    if exn.cells == cython.NULL:
        raise MemoryError("no memory for an exception")
    tag.store.quota.claim(bytes_of(tag))
    return exn


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def bytes_of(tag: Tag) -> uint64_t:
    """What an exception of a tag takes of the store's budget."""
    return ARG_CELL * cython.cast(uint64_t, tag.d.n_values + 1) + OBJECT_BYTES


@cython.cfunc
def wasm_exception() -> object:
    """The class ``WasmException``, which few programs need."""
    global the_class
    if the_class is None:
        begin_import()
        try:
            from stratavm.base.thrown import WasmException
        finally:
            end_import()

        the_class = WasmException
    return the_class


the_class: object = None


def exn_of(store, error):
    """The exception behind a Python one if guests of the store may catch it, else None: one of another store, or any
    other error of Python, is none of theirs."""
    if "stratavm.base.thrown" not in modules:  # then there is none yet: most programs never load the class
        return None
    if not isinstance(error, wasm_exception()):
        return None
    found: object = getattr(error, "exn", None)
    if not isinstance(found, Exn):
        return None
    exn: Exn = found
    return None if exn.tag is None or exn.tag.store is not store else exn


@cython.cfunc
@cython.exceptval(-1, check=False)
def begin_throw(store: Store, exn: Exn) -> cython.int:
    """What is thrown from now on. What was thrown before goes first: it may have the last references to what runs
    Python as it goes, which may call this guest, which may throw. What that leaves here goes at the next throw: to let
    it go now might have no end."""
    let_go_of_spent(store)
    if store.thrown is not None or store.thrown_error is not None:
        let_go_of_thrown(store)
    return be_thrown(store, exn)


@cython.cfunc
@cython.exceptval(-1, check=False)
def be_thrown(store: Store, exn: Exn) -> cython.int:
    """Throw it, with handles of all that it holds. They are made while it is what is thrown, so that they are held;
    again where a guest that ran meanwhile has thrown, which may have freed them."""
    while store.thrown is not exn:
        while store.thrown is not None or store.thrown_error is not None:
            spare_thrown(store)
        throw_now(store, exn)
        exn.renew()
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def spare_thrown(store: Store) -> cython.int:
    """Have nothing that is thrown; what it was goes at the next throw."""
    if store.spent is None:
        store.spent = []
    store.spent.append(store.thrown)
    store.spent.append(store.thrown_error)
    store.thrown = None
    store.thrown_error = None
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def let_go_of_spent(store: Store) -> cython.int:
    """Drop what waited for the next throw: that may run anything."""
    if store.spent is not None:
        spent: list = store.spent
        store.spent = None
        spent.clear()
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def let_go_of_thrown(store: Store) -> cython.int:
    """Have nothing that is thrown; then drop it."""
    thrown: object = store.thrown
    error: object = store.thrown_error
    store.thrown = None
    store.thrown_error = None
    del thrown, error
    return 0


def throw_now(store, exn):
    """The same where somebody has what was thrown before: nothing runs Python."""
    its: Exn = exn
    store.thrown = its
    store.thrown_error = None
    store.exec.thrown_tag = cython.address(its.tag.d)
    store.exec.thrown = its.cells
    mark(store.exec, ATTENTION_THROWN, True)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def make_room(store: Store, step: cython.bint) -> cython.int:
    """Let go of exceptions that guests have dropped, where a further one finds no room."""
    handles: Handles = store.all_handles()
    if handles.exceptions:
        free_unheld(store, payload(store.thrown, set()), step)
    return let_go_of_spent(store)


def free_dropped(store):
    """Let go of objects and exceptions that guests have dropped: all that they hold lies in frames, or in what roots
    know. It may run anything."""
    free_unheld(store, payload(store.thrown, set()), False)
    return let_go_of_spent(store)


@cython.cfunc
def payload(thrown: object, held: set) -> set:
    """Add the handles that lie in an exception; None has none."""
    if thrown is not None:
        exn: Exn = thrown
        for i in exn.tag.handled or ():
            held.add(exn.cells[2 * i])
    return held


@cython.cfunc
@cython.exceptval(-1, check=False)
def renew_in(exn: Exn, step: cython.bint) -> cython.int:
    """Give what an exception holds handles again; a ``step`` of a guest throws it whose frames hold all else that it
    has."""
    at: cython.Py_ssize_t
    store: Store = exn.tag.store
    for at in range(len(exn.held)):
        place: cython.Py_ssize_t = exn.tag.handled[at]
        thing: object = exn.held[at]
        if thing is not None and heap(exn.tag.params[place]) in (EXN, NOEXN):
            exn.cells[2 * place] = exnref(store, thing, exn, step)
        else:
            exn.cells[2 * place] = store.extern_to_raw(thing)
    return 0


@cython.cfunc
def exnref(store: Store, exn: Exn, outer: object, step: cython.bint) -> object:
    """The exnref of an exception, which may be a value of an ``outer`` one. Where there are many, or no room for a
    further one, those that no guest holds any more are freed first; as in ``renew_in``."""
    exn.hold()  # before anything of Python's runs
    handles: Handles = store.all_handles()
    if handles.exceptions and id(exn) not in handles.numbers:
        full: cython.bint = not handles.free and len(handles.things) >= store.template.limits.handles
        poor: cython.bint = store.quota.total - store.quota.held < HANDLE_BYTES
        if full or poor or len(handles.exceptions) >= handles.exceptions_at:
            free_unheld(store, payload(store.thrown, payload(outer, payload(exn, set()))), step)
    return store.number_of(exn, True)


def thrown_again(store, raw):
    """The ``WasmException`` of an exnref that is not 0, for guests that run without machine code."""
    exn: Exn = store.extern_from_raw(raw)
    return exn.error()


def exnref_of(store, error):
    """An exnref to the exception behind a ``WasmException``, for guests that run without machine code."""
    return exnref(store, error.exn, None, False)


def caught_by(store, error):
    """Key and raw values of what guests of the store may catch, for those that run without machine code; or None."""
    exn: Exn = exn_of(store, error)
    if exn is None:
        return None
    if exn.held is not None:
        renew_in(exn, True)
    return exn.key, read_cells(exn.cells, exn.tag.widths)


# ---- builtins ----


def keep_raised(store, error):
    """Keep what was raised on behalf of a guest: the status. Guests may catch an exception of WebAssembly; anything
    else comes out of the outermost call unchanged, and so does what nobody catches."""
    status: uint32_t = keep_for_later(store, error)
    return look_for_handler(store) if status == STATUS_THROW else status


def keep_for_later(store, error):
    """The same, for a guest that does not run yet: it looks for who catches that when it does."""
    try:
        exn: Exn = exn_of(store, error)
        if exn is not None:
            begin_throw(store, exn)
    except BaseException as failure:
        store.in_flight = failure
        return TRAP_HOST_EXCEPTION
    store.in_flight = error  # last: calls that were made meanwhile know nothing of it
    return TRAP_HOST_EXCEPTION if exn is None else STATUS_THROW


def look_for_handler(store):
    """The status of a guest that leaves a host function with an exception, which one below it may catch: then that is
    over for Python."""
    offer(store.exec)
    if store.exec.catch_pc != 0:
        store.thrown_error = store.in_flight
        store.in_flight = None
    return STATUS_THROW


@cython.cfunc
@cython.exceptval(check=False)
def throw_cells(store: Store, tag: Tag, cells: cython.pointer(uint64_t)) -> uint32_t:
    """Throw an exception with the values in cells."""
    try:
        exn: Exn = new_exn(tag, False)
        memcpy(exn.cells, cells, ARG_CELL * cython.cast(uint64_t, tag.d.n_values))
        begin_throw(store, exn)
    except BaseException as error:
        store.in_flight = error
        return TRAP_HOST_EXCEPTION
    return offer(store.exec)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def throw(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    tag: cython.pointer(TagDef),
    cells: cython.pointer(uint64_t),
) -> uint32_t:
    """Builtin ``throw``."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status: uint32_t = throw_cells(cython.cast(Store, context.store), cython.cast(Tag, tag.tag), cells)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
def throw_handle(store: Store, raw: uint64_t) -> uint32_t:
    """Throw what a handle means."""
    try:
        exn: Exn = store.extern_from_raw(raw)
        begin_throw(store, exn)
    except BaseException as error:
        store.in_flight = error
        return TRAP_HOST_EXCEPTION
    return offer(store.exec)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def throw_ref(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), exception: uint64_t) -> uint32_t:
    """Builtin ``throw_ref``."""
    block: cython.pointer(ThreadBlock) = current_block()
    if exception == 0:
        return TRAP_NULL_REFERENCE
    leave_guest(block)
    status: uint32_t = throw_handle(cython.cast(Store, context.store), exception)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
def handle_of_thrown(store: Store) -> uint64_t:
    """A handle of what was thrown last; 0: what has failed comes out at the next poll."""
    try:
        exn: Exn = store.thrown
        error: object = store.thrown_error
        found: uint64_t = exnref(store, exn, None, False)
        while store.thrown is not exn:  # what ran meanwhile has thrown: the guest has yet to see the values of its own
            be_thrown(store, exn)
            store.thrown_error = error
            found = exnref(store, exn, None, False)
        return found
    except BaseException as failure:
        store.fail(failure)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def exn_ref(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext)) -> uint64_t:
    """Builtin ``exn_ref``."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    found: uint64_t = handle_of_thrown(cython.cast(Store, context.store))
    block.in_guest = 1
    return found


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.linetrace(False)
def rethrow(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext)) -> uint32_t:
    """Builtin ``rethrow``."""
    return offer(context)


builtin_table[BUILTIN_THROW] = cython.cast(cython.p_void, throw)
builtin_table[BUILTIN_THROW_REF] = cython.cast(cython.p_void, throw_ref)
builtin_table[BUILTIN_EXN_REF] = cython.cast(cython.p_void, exn_ref)
builtin_table[BUILTIN_RETHROW] = cython.cast(cython.p_void, rethrow)
