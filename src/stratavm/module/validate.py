"""Validation of a module: its types, index spaces, constant expressions, then every body on all cores without the GIL.

Source: WebAssembly 3.0, section 3.5 (modules) and the algorithm in the appendix. ``validate_walk`` checks bodies.
"""

from __future__ import annotations

import itertools
import os
from _collections_abc import Callable, Iterable, Sequence
from _thread import LockType, allocate_lock, start_new_thread

from stratavm.base.budget import Budget, check, paced
from stratavm.base.errors import ModuleError, ModuleLimit, ValidationError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NoReturn
from stratavm.base.importing import importing, partial
from stratavm.base.text import printable
from stratavm.module.constant import Constants
from stratavm.module.features import DEFAULT, advice, refusal
from stratavm.module.limits import DEFAULT_LIMITS, Limits
from stratavm.module.model import Element, ExternKind, Module
from stratavm.module.valid import Bodies, Context, ValidModule
from stratavm.module.validate_walk import ValidateWalk
from stratavm.spec import types as T

if TYPE_CHECKING:
    from stratavm.module.places import Item

CHUNK_BYTES: Final = 128 * 1024
"""Code per unit of work; the facts depend on it, never on the number of threads."""
SERIAL_BYTES: Final = 256 * 1024
"""Below this, threads cost more than they bring."""
ADDRESSES: Final = {False: 1 << 32, True: 1 << 64}
"""Bytes, or elements, that addresses reach, by whether they have 64 bits."""


def validate(
    module: Module,
    features: frozenset[str] = DEFAULT,
    threads: int = 0,
    *,
    limits: Limits = DEFAULT_LIMITS,
    vouched: bool = False,
    unsure: Sequence[int] = (),
    known: bool = False,
) -> ValidModule:
    """Check a decoded module. ``threads`` 0 means as many as there are cores; the result never depends on it.

    ``vouched``: who calls this answers for it that this binary was found valid before, with these features and limits;
    then each body is walked over when it is built, and not now, but for those of the functions that are ``unsure``, by
    defined index in ascending order. ``known``: the whole binary was, not its bodies alone: nothing else is checked
    again either.

    Raises ``ValidationError`` for the first fault (lowest function index), and ``DecodeError`` where the instructions
    of a body are malformed.
    """
    if known and vouched and not unsure:
        return ValidModule(module, None, features, partial(_known, module, features, limits))
    try:
        return _validated(module, features, threads, limits, vouched, unsure)
    except ValidationError as error:
        with importing:
            from stratavm.module.typewords import name_types

        name_types(error, module)
        raise


def _validated(
    module: Module, features: frozenset[str], threads: int, limits: Limits, vouched: bool, unsure: Sequence[int]
) -> ValidModule:
    """``validate``, whose errors have indices of types."""
    context = _checked_context(module, features, limits)
    context.declare(module.declared_funcs)
    bodies = Bodies(module, context, vouched)
    functions: Any = module.functions  # which know more than a sequence does
    if not vouched:
        _check_bodies(context, bodies, threads)
        functions.leaves = bodies.leave()
    elif unsure:
        own = Bodies(module, context)
        _check_chunks(context, own, own.plan_alone(unsure), threads)
        functions.leaves = own.leave() or functions.leaves
    return ValidModule(module, (context, bodies), features)


def _known(module: Module, features: frozenset[str], limits: Limits) -> tuple[Context, Bodies]:
    """What the compiler needs of a module that was found to be valid before."""
    context = Context(module, features, canonical_types(module), limits)
    context.declare(module.declared_funcs)
    return context, Bodies(module, context, True)


def _checked_context(module: Module, features: frozenset[str], limits: Limits) -> Context:
    """What bodies may refer to, once all else is checked."""
    checks = _ModuleChecks(module, features, limits)
    try:
        canonical = checks.types()
        checks.imports()
        checks.spaces()
        checks.functions()
        context = Context(module, features, canonical, limits)
        checks.subtypes(context)
        constants = Constants(module, context, features)
        checks.constants(constants)
        checks.exports()
        checks.start()
    except ValidationError as error:
        with importing:
            from stratavm.module.places import item_of, item_offset

        item = checks.item if checks.entry is None else item_of(module, *checks.entry)
        error.locate(item=item, offset=error.offset or item_offset(module, item, limits))
        raise
    return context


def find_facts(valid: ValidModule) -> Bodies:
    """The facts of all bodies of a valid module; they are found now where its bodies were vouched for."""
    if not valid.bodies.vouched:
        return valid.bodies
    bodies = Bodies(valid.module, valid.context)
    _check_bodies(valid.context, bodies, 0)
    return bodies


def need(feature: str, features: frozenset[str], what: str) -> None:
    """Refuse ``what`` unless its proposal is enabled."""
    if feature not in features:
        raise ValidationError(f"{what}: {refusal(feature)}", hint=advice(feature))


def canonical_types(module: Module) -> list[int]:
    """A number per type index, equal for types that are equivalent by the rules of recursion groups."""
    canonical: list[int] = []
    known: dict[object, int] = {}
    for group in paced(module.rec_groups):
        first = len(canonical)

        def normal(t: T.ValType, first: int = first, canonical: list[int] = canonical) -> object:
            index = T.heap(t) - T.CONCRETE
            if not T.is_ref(t) or index < 0:
                return t
            return (t & 0xFF, index - first) if index >= first else (t & 0xFF, "before", canonical[index])

        key = _plain(group.types) or tuple(
            (
                sub.final,
                tuple(i - first if i >= first else ("before", canonical[i]) for i in sub.supers),
                type(sub.composite),
                _shape(sub.composite, normal),
            )
            for sub in group.types
        )
        start = known.setdefault(key, first)
        canonical += range(start, start + len(group.types))
    return canonical


def _plain(types: tuple[T.SubType, ...]) -> object:
    """The key of a function type by itself that names no other type, as nearly all are; None for any other group."""
    sub = types[0] if len(types) == 1 else None
    if sub is None or not sub.final or sub.supers or not isinstance(sub.composite, T.FuncType):
        return None
    params, results = sub.composite.params, sub.composite.results
    return None if max(params + results, default=0) >= T.FIRST_CONCRETE else (params, results)


def _shape(composite: T.CompositeType, normal: object) -> object:
    """A composite type with its references normalised."""
    assert callable(normal)
    if isinstance(composite, T.FuncType):
        return tuple(map(normal, composite.params)), tuple(map(normal, composite.results))
    return tuple((normal(f.storage), f.mutable) for f in T.fields_of(composite))


class _ModuleChecks:
    """The checks above the level of bodies; each method one part of the module."""

    def __init__(self, module: Module, features: frozenset[str], limits: Limits = DEFAULT_LIMITS) -> None:
        self.module, self.features = module, features
        self.n_types = len(module.types)
        self.most_depth = limits.subtype_depth
        self.depths: dict[int, int] = {}  # of types with supertypes, by index: how many are above each other
        self.item: Item = ("type", 0)  # what is being checked, for errors
        self.entry: tuple[ExternKind, int] | None = None  # or an entry of an index space, imported or defined

    # ---- types -----------------------------------------------------------------------------

    def value_type(self, t: T.ValType) -> None:
        """A value type is known and its proposal enabled."""
        if t in T.NUMBER_NAMES:
            if t == T.V128:
                need("simd", self.features, "v128")
        elif t in (T.FUNCREF, T.EXTERNREF):
            need("reference-types", self.features, T.type_name(t))
        else:
            heap = T.heap(t)
            if heap >= T.CONCRETE + self.n_types:
                raise ValidationError(f"unknown type {heap - T.CONCRETE}", expected=f"below {self.n_types}")
            exceptional = heap in (T.EXN, T.NOEXN)
            abstract = heap < T.CONCRETE and heap not in (T.FUNC, T.EXTERN)
            need(
                "exceptions" if exceptional else "gc" if abstract else "function-references",
                self.features,
                T.type_name(t),
            )

    def value_types(self, kind: str, types: Sequence[Iterable[T.ValType]]) -> None:
        """The types that each item of a kind mentions; those of tens of thousands of functions are few."""
        for t in {t for mentioned in paced(types) for t in mentioned}:
            try:
                self.value_type(t)
            except ModuleError:
                self.item = kind, next(i for i, mentioned in enumerate(types) if t in mentioned)
                raise

    def types(self) -> list[int]:
        """Type definitions; returns their canonical numbers."""
        mentioned: list[tuple[T.ValType, ...]] = []
        for group in paced(self.module.rec_groups):
            self.item = "type", len(mentioned)
            end = len(mentioned) + len(group.types)
            if len(group.types) != 1:
                self._need_subtypes("a recursion group")
            for sub in group.types:
                self.item = "type", len(mentioned)
                mentioned.append(self._definition(sub, end))
                if sub.supers:
                    self._below(len(mentioned) - 1, sub.supers)
        self.value_types("type", mentioned)
        return canonical_types(self.module)

    def _definition(self, sub: T.SubType, end: int) -> tuple[T.ValType, ...]:
        """One type definition: refers only to what is defined up to its group's end. Returns the types in it."""
        composite = sub.composite
        if not isinstance(composite, T.FuncType):
            need("gc", self.features, "a struct or array type")
            mentioned = tuple(f.storage for f in T.fields_of(composite))
        else:
            mentioned = composite.params + composite.results
            if len(composite.results) > 1:
                need("multi-value", self.features, "a function with several results")
        if sub.supers or not sub.final:
            self._need_subtypes("a subtype")
        for t in mentioned:
            if t > 0xFF and T.heap(t) >= T.CONCRETE + end:
                self._later(
                    T.heap(t) - T.CONCRETE, end, "what refers to types behind it stands with them in one (rec …)"
                )
        return mentioned

    def _later(self, index: int, end: int, remedy: str) -> NoReturn:
        """Refuse a type that is mentioned before it is there: it comes later, or is none of the module's."""
        if index >= self.n_types:
            raise ValidationError(f"unknown type {index}", expected=f"below {end}")
        name = self.module.names.types.get(index, "")
        called = f" (${printable(name)})" if name else ""
        raise ValidationError(f"unknown type {index}{called}", expected=f"below {end}: {remedy}")

    def _need_subtypes(self, what: str) -> None:
        """What types of functions have with a proposal of their own, and all others with gc."""
        need("gc" if "gc" in self.features else "function-subtypes", self.features, what)

    def _below(self, index: int, supers: tuple[int, ...]) -> None:
        """A type's supertypes come before it, and are not too many above each other: matching goes through them."""
        for above in supers:
            if above >= index:
                self._later(above, index, "a type stands behind those that it extends")
        depth = self.depths[index] = 1 + max(self.depths.get(above, 0) for above in supers)
        if depth > self.most_depth:
            raise ModuleLimit(
                f"type {index} has too many supertypes above each other",
                limit="subtype_depth",
                expected=f"at most {self.most_depth}",
                found=f"{depth}",
            )

    def subtypes(self, context: Context) -> None:
        """What extends another type may do so."""
        if not self.depths:
            return
        with importing:
            from stratavm.module.subtypes import check_subtype

        for index in paced(self.depths):
            self.item = "type", index
            check_subtype(self.module.types, index, context)

    def func_type(self, index: int) -> T.FuncType:
        """The function type at a type index."""
        if not 0 <= index < self.n_types:
            raise ValidationError(f"unknown type {index}", expected=f"below {self.n_types}")
        composite = self.module.types[index].composite
        if not isinstance(composite, T.FuncType):
            raise ValidationError(f"unknown type {index}", expected="a function type", found=type(composite).__name__)
        return composite

    # ---- index spaces ----------------------------------------------------------------------

    def imports(self) -> None:
        """Imports."""
        for i, item in enumerate(paced(self.module.imports)):
            self.item = "import", i
            if item.kind in ("func", "tag"):
                self.func_type(-1 if item.type_index is None else item.type_index)
            elif item.kind == "global" and isinstance(item.type, T.GlobalType) and item.type.mutable:
                need("mutable-globals", self.features, "import of a mutable global")

    def spaces(self) -> None:
        """Tables, memories, globals, tags: their types."""
        module = self.module
        for i, table in enumerate(paced(module.table_types)):
            self.entry = "table", i
            if i:
                need("reference-types", self.features, "multiple tables")
            self.value_type(table.element)
            bits = 64 if table.limits.is64 else 32
            most = ADDRESSES[table.limits.is64] - 1
            self.limits(table.limits, most, f"table size must be at most 2^{bits}-1", "table")
            if table.limits.is64:
                need("memory64", self.features, "a 64-bit table")
        for i, memory in enumerate(module.memory_types):
            self.entry = "memory", i
            if i:
                need("multi-memory", self.features, "multiple memories")
            self.memory(memory)
        self.entry = None
        self.value_types(
            "import", [(i.type.value,) if isinstance(i.type, T.GlobalType) else () for i in module.imports]
        )
        self.value_types("global", [(g.type.value,) for g in module.globals])
        for i, tag in enumerate(paced(module.tag_types)):
            self.entry = "tag", i
            need("exceptions", self.features, "a tag")
            if tag.type.results:
                raise ValidationError("non-empty tag result type", found=str(tag.type))
        self.entry = None

    def limits(self, limits: T.Limits, most: int, message: str, what: str) -> None:
        """Size limits of a table or memory."""
        if limits.minimum > most or (limits.maximum or 0) > most:
            raise ValidationError(message, found=f"{max(limits.minimum, limits.maximum or 0)}")
        if limits.maximum is not None and limits.minimum > limits.maximum:
            raise ValidationError(
                "size minimum must not be greater than maximum",
                expected=f"a {what} of at most {limits.maximum}",
                found=f"{limits.minimum}",
            )
        if limits.shared:
            need("threads", self.features, f"a shared {what}")
            if limits.maximum is None:
                raise ValidationError("shared memory must have maximum")

    def memory(self, memory: T.MemoryType) -> None:
        """A memory's type."""
        if memory.page_shift != 16:
            need("custom-page-sizes", self.features, "a page size")
            if memory.page_shift != 0:
                raise ValidationError("invalid custom page size", found=f"2**{memory.page_shift}")
        if memory.limits.is64:
            need("memory64", self.features, "a 64-bit memory")
        most, words = (ADDRESSES[memory.limits.is64] >> memory.page_shift), "2**48 pages"
        if memory.page_shift == 0:
            most -= 1  # the size is an address, too
            words = f"{most} bytes"
        elif not memory.limits.is64:
            words = "65536 pages (4GiB)"
        self.limits(memory.limits, most, f"memory size must be at most {words}", "memory")

    def functions(self) -> None:
        """Type indices and local types of defined functions."""
        functions: Any = self.module.functions
        for index in set(functions.type_indices()):
            try:
                self.func_type(index)
            except ModuleError:
                self.item = "function", functions.type_indices().index(index)
                raise
        for type_ in functions.local_types():
            try:
                self.value_type(type_)
            except ModuleError:
                self.item = "function", next(i for i, f in enumerate(functions) if type_ in [t for _, t in f.locals])
                raise
        self.item = "data count", None
        if self.module.datas and self.module.data_count not in (None, len(self.module.datas)):
            raise ValidationError("data count and data section have inconsistent lengths")

    # ---- what holds constant expressions ---------------------------------------------------

    def constants(self, constants: Constants) -> None:
        """Globals, tables, element and data segments."""
        module = self.module
        imported = len(module.global_types) - len(module.globals)
        for i, variable in enumerate(paced(module.globals)):
            self.item = "global", i
            constants.check(variable.init, variable.type.value, imported + i)
        everything = len(module.global_types)
        for i, table in enumerate(paced(module.tables)):
            self.item = "table", i
            if table.init is not None:
                need("function-references", self.features, "a table initialiser")
                constants.check(table.init, table.type.element, imported)
            elif T.kind(table.type.element) == T.REF:
                raise ValidationError("type mismatch", expected="an initialiser", found="none")
        for i, segment in enumerate(paced(module.elements)):
            self.item = "element segment", i
            self._element(segment, constants)
        datas: Any = module.datas
        plain = bool(module.memory_types) and not module.memory_types[0].limits.is64
        for i in paced(datas.not_plain() if plain else range(len(datas))):  # tens of thousands are, in some programs
            data = datas[i]
            if data.offset is not None:
                self.item = "data segment", i
                if data.memory >= len(module.memory_types):
                    raise ValidationError(f"unknown memory {data.memory}", offset=data.offset.offset)
                is64 = module.memory_types[data.memory].limits.is64
                constants.check(data.offset, T.I64 if is64 else T.I32, everything)

    def _element(self, segment: Element, constants: Constants) -> None:
        """An element segment."""
        module = self.module
        everything = len(module.global_types)
        if segment.exprs is not None:  # a list of functions has type (ref func) in every version
            self.value_type(segment.type)
        if segment.mode == "active":
            offset = segment.offset
            assert offset is not None
            if segment.table >= len(module.table_types):
                raise ValidationError(f"unknown table {segment.table}", offset=offset.offset)
            table = module.table_types[segment.table]
            if not constants.context.is_subtype(segment.type, table.element):
                raise ValidationError(
                    "type mismatch",
                    offset=offset.offset,
                    expected=f"elements of type {T.type_name(table.element)}",
                    found=T.type_name(segment.type),
                )
            constants.check(offset, T.I64 if table.limits.is64 else T.I32, everything)
        for expression in paced(segment.exprs or ()):
            constants.check(expression, segment.type, everything)
        if segment.funcs:
            highest = max(segment.funcs)
            if highest >= len(module.func_type_indices):
                raise ValidationError(f"unknown function {highest}", expected=f"below {len(module.func_type_indices)}")

    # ---- exports and start -----------------------------------------------------------------

    def exports(self) -> None:
        """Names are unique, indices exist."""
        module = self.module
        sizes = {
            "func": len(module.func_type_indices),
            "table": len(module.table_types),
            "memory": len(module.memory_types),
            "global": len(module.global_types),
            "tag": len(module.tag_types),
        }
        words = {"func": "function"}
        names: set[str] = set()
        for i, export in enumerate(paced(module.exports)):
            self.item = "export", i
            if export.name in names:
                raise ValidationError("duplicate export name", found=repr(export.name))
            names.add(export.name)
            if export.index >= sizes[export.kind]:
                raise ValidationError(
                    f"unknown {words.get(export.kind, export.kind)} {export.index}",
                    expected=f"below {sizes[export.kind]}",
                    found=f"export {export.name!r}",
                )
            if export.kind == "global" and module.global_types[export.index].mutable:
                need("mutable-globals", self.features, "export of a mutable global")

    def start(self) -> None:
        """The start function takes and returns nothing."""
        index = self.module.start
        if index is None:
            return
        self.item = "start", None
        if index >= len(self.module.func_type_indices):
            raise ValidationError(f"unknown function {index}", expected=f"below {len(self.module.func_type_indices)}")
        found = self.module.func_type(index)
        if found != T.FuncType():
            raise ValidationError("start function", expected=str(T.FuncType()), found=str(found))


def _check_bodies(context: Context, bodies: Bodies, threads: int) -> None:
    """Walk every body; the first fault in module order is raised, whatever the number of threads."""
    _check_chunks(context, bodies, bodies.plan_chunks(CHUNK_BYTES), threads)


def _check_chunks(context: Context, bodies: Bodies, chunks: int, threads: int) -> None:
    """The same for the bodies of so many chunks."""
    work = itertools.count()
    faults: dict[int, ModuleError | Exception] = {}

    def drain() -> None:
        checker = ValidateWalk(context, bodies)
        for chunk in work:
            if chunk >= chunks or (faults and chunk > min(faults)):
                return
            check()
            if not checker.check(chunk):
                with importing:
                    from stratavm.module.checker import fault_error

                faults[chunk] = fault_error(checker)
                return

    size = context.module.functions.code_bytes()
    workers = min(threads or len(os.sched_getaffinity(0)), chunks)
    if workers <= 1 or (threads == 0 and size < SERIAL_BYTES):
        drain()
    else:
        _on_threads(drain, workers)
    if faults:
        raise faults[min(faults)]


def _on_threads(work: Callable[[], None], count: int) -> None:
    """Run ``work`` on this thread and ``count - 1`` others, which end with it; the first exception comes out.

    They are made without ``threading``: to import that takes longer than what a thread saves in most modules.
    """
    errors: list[BaseException] = []
    budget = Budget()
    begun: list[LockType] = []  # by each thread that may work, which gives its lock back at the end
    over: list[bool] = []  # who begins from now on works no more

    def guarded() -> None:
        try:
            with Budget(shared=budget):
                work()
        except BaseException as error:
            errors.append(error)
            budget.stop()

    def beside() -> None:
        ended = allocate_lock()
        with ended:
            begun.append(ended)
            if not over:
                guarded()

    with budget:
        try:
            for _ in range(count - 1):
                start_new_thread(beside, ())
            guarded()
        except BaseException as error:  # Ctrl-C, or no more threads
            errors.append(error)
            budget.stop()
        over.append(True)
        _wait_for(begun, errors, budget)
    if errors:
        raise errors[0]


def _wait_for(begun: list[LockType], errors: list[BaseException], budget: Budget) -> None:
    """Wait until all threads have ended that may work, whatever comes meanwhile."""
    for ended in begun:
        while True:
            try:
                with ended:
                    break
            except BaseException as error:  # Ctrl-C
                errors.append(error)
                budget.stop()
