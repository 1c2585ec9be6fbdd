# strata: hot
"""A validated module's facts in C arrays. Owns their memory and type matching; ``validate`` and the walk check."""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.module.reader import Reading
from cython.cimports.stratavm.module.sections import FunctionRecord, Functions

from stratavm.module.facts import BodyFacts
from stratavm.module.features import FEATURES
from stratavm.spec import types as T

H_ANY = cython.declare(uint32_t, T.ANY)
H_EQ = cython.declare(uint32_t, T.EQ)
H_I31 = cython.declare(uint32_t, T.I31)
H_STRUCT = cython.declare(uint32_t, T.STRUCT)
H_ARRAY = cython.declare(uint32_t, T.ARRAY)
H_NONE = cython.declare(uint32_t, T.NONE)
H_FUNC = cython.declare(uint32_t, T.FUNC)
H_NOFUNC = cython.declare(uint32_t, T.NOFUNC)
H_EXTERN = cython.declare(uint32_t, T.EXTERN)
H_NOEXTERN = cython.declare(uint32_t, T.NOEXTERN)
H_EXN = cython.declare(uint32_t, T.EXN)
H_NOEXN = cython.declare(uint32_t, T.NOEXN)
H_CONCRETE = cython.declare(uint32_t, T.CONCRETE)
K_REF = cython.declare(uint32_t, T.REF)
K_REF_NULL = cython.declare(uint32_t, T.REF_NULL)
T_BOTTOM = cython.declare(uint32_t, T.BOTTOM)
H_BOTTOM = cython.declare(uint32_t, T.BOTTOM_HEAP)

_KINDS = {T.FuncType: TK_FUNC, T.StructType: TK_STRUCT, T.ArrayType: TK_ARRAY}


@cython.cfunc
def _array(count: cython.size_t, size: cython.size_t) -> cython.p_void:
    """Zeroed memory for ``count`` items, at least one."""
    memory: cython.p_void = calloc(count + 1, size)
    if memory == cython.NULL:
        raise MemoryError("out of memory in the facts of a module")
    return memory


def _values_in(sub: object) -> int:
    """How many types a definition has in the pool, marks of fields that may be set included."""
    composite = sub.composite
    if isinstance(composite, T.FuncType):
        return len(composite.params) + len(composite.results)
    return 2 * len(T.fields_of(composite))


@cython.cfunc
def take_fields(
    at: cython.pointer(TypeFact), pool: cython.pointer(uint32_t), used: uint32_t, fields: tuple
) -> uint32_t:
    """Flatten the fields of a struct, or an array's element; how much of the pool is used by now."""
    n: uint32_t = len(fields)
    at.params = pool + used
    at.results = at.params + n
    at.n_params = n
    at.defaults = True
    for field in fields:
        pool[used] = field.storage
        pool[used + n] = field.mutable
        if pool[used] & 0xFF == K_REF:
            at.defaults = False
        used += 1
    return used + n


@cython.cclass
class Context:
    """The specification's context C: what a body may refer to. The module's own checks ran before."""

    def __cinit__(self, module, features, canonical, limits):
        self.module = module
        rest: Reading = module.rest
        self.binary = cython.cast(cython.pointer(cython.const[uint8_t]), cython.cast(cython.p_char, module.buffer))
        self.rest = cython.NULL if rest is None else rest.rest()
        self.features = feature_mask(features)
        self.max_targets = limits.br_table_targets
        self.max_stack = limits.operand_stack
        self._take_types(canonical)
        self._take_spaces()

    def __dealloc__(self):
        vec_free(self.types)
        vec_free(self.pool)
        vec_free(self.func_types)
        vec_free(self.declared)
        vec_free(self.tables)
        vec_free(self.memory64)
        vec_free(self.shared)
        vec_free(self.globals)
        vec_free(self.tag_types)
        vec_free(self.elem_types)

    def _take_types(self, canonical):
        """Flatten the type definitions."""
        i: uint32_t
        used: uint32_t = 0
        k: uint32_t
        at: cython.pointer(TypeFact)
        types = self.module.types
        wanted = sum(map(_values_in, types))
        self.n_types = len(types)
        self.types = cython.cast(cython.pointer(TypeFact), _array(self.n_types, cython.sizeof(TypeFact)))
        self.pool = cython.cast(cython.pointer(uint32_t), _array(wanted, cython.sizeof(uint32_t)))
        for i in range(self.n_types):
            breathe(i)
            sub = types[i]
            at = cython.address(self.types[i])
            at.kind = _KINDS[type(sub.composite)]
            at.canonical = canonical[i]
            at.super = sub.supers[0] if sub.supers else NO_INDEX
            at.refs[0] = K_REF_NULL | (H_CONCRETE + i) << 8
            at.refs[1] = K_REF | (H_CONCRETE + i) << 8
            if at.kind == TK_FUNC:
                at.params = self.pool + used
                at.n_params = len(sub.composite.params)
                at.n_results = len(sub.composite.results)
                for value in sub.composite.params + sub.composite.results:
                    self.pool[used] = value
                    used += 1
                at.results = at.params + at.n_params
            else:
                used = take_fields(at, self.pool, used, T.fields_of(sub.composite))
        memset(self.singles, 0, cython.sizeof(self.singles))
        memset(self.solids, 0, cython.sizeof(self.solids))
        for value in (T.I32, T.I64, T.F32, T.F64, T.V128):
            k = value
            self.singles[k] = k
        for value in T.SHORT_REFS:
            k = value
            self.singles[k] = T.ref(value)
            self.solids[k] = T.ref(value, False)

    def _take_spaces(self):
        """Flatten the index spaces."""
        i: uint32_t
        module = self.module
        self.n_funcs = len(module.func_type_indices)
        self.func_types = cython.cast(cython.pointer(uint32_t), _array(self.n_funcs, cython.sizeof(uint32_t)))
        self.declared = cython.cast(cython.pointer(uint8_t), _array(self.n_funcs, 1))
        for i, index in enumerate(module.func_type_indices):
            self.func_types[i] = index
        self.n_tables = len(module.table_types)
        self.tables = cython.cast(cython.pointer(TableFact), _array(self.n_tables, cython.sizeof(TableFact)))
        for i, table in enumerate(module.table_types):
            self.tables[i].type = table.element
            self.tables[i].is64 = table.limits.is64
        self.n_memories = len(module.memory_types)
        self.memory64 = cython.cast(cython.pointer(uint8_t), _array(self.n_memories, 1))
        self.shared = cython.cast(cython.pointer(uint8_t), _array(self.n_memories, 1))
        self.sharing = False
        for i, memory in enumerate(module.memory_types):
            self.memory64[i] = memory.limits.is64
            self.shared[i] = memory.limits.shared
            self.sharing = self.sharing or memory.limits.shared
        self.n_globals = len(module.global_types)
        self.globals = cython.cast(cython.pointer(GlobalFact), _array(self.n_globals, cython.sizeof(GlobalFact)))
        for i, variable in enumerate(module.global_types):
            self.globals[i].type = variable.value
            self.globals[i].mutable = variable.mutable
        self.n_tags = len(module.tag_types)
        self.tag_types = cython.cast(cython.pointer(uint32_t), _array(self.n_tags, cython.sizeof(uint32_t)))
        for i, tag in enumerate(module.tag_types):
            self.tag_types[i] = tag.type_index
        self.n_elems = len(module.elements)
        self.elem_types = cython.cast(cython.pointer(uint32_t), _array(self.n_elems, cython.sizeof(uint32_t)))
        for i, segment in enumerate(module.elements):
            self.elem_types[i] = segment.type
        self.n_datas = len(module.datas)
        self.has_data_count = module.data_count is not None

    def matches(self, found, expected):
        """Whether a value of type ``found`` may stand where ``expected`` is wanted."""
        if found == expected or found == T_BOTTOM:
            return True
        kind: uint32_t = expected & 0xFF
        if kind == K_REF_NULL:
            if found & 0xFF != K_REF_NULL and found & 0xFF != K_REF:
                return False
        elif kind != K_REF or found & 0xFF != K_REF:
            return False
        return self.heap_matches(found >> 8, expected >> 8)

    def heap_matches(self, found, expected):
        """The same for heap types."""
        index: uint32_t
        kind: uint32_t
        wanted: uint32_t
        if found == expected or found == H_BOTTOM:
            return True
        if found < H_CONCRETE:
            if expected >= H_CONCRETE:
                if expected - H_CONCRETE >= self.n_types:
                    return False
                kind = self.types[expected - H_CONCRETE].kind
                return found == (H_NOFUNC if kind == TK_FUNC else H_NONE)
            if found == H_NONE:
                return expected in (H_ANY, H_EQ, H_I31, H_STRUCT, H_ARRAY)
            if found == H_EQ:
                return expected == H_ANY
            if found in (H_I31, H_STRUCT, H_ARRAY):
                return expected == H_EQ or expected == H_ANY
            if found == H_NOFUNC:
                return expected == H_FUNC
            if found == H_NOEXTERN:
                return expected == H_EXTERN
            return found == H_NOEXN and expected == H_EXN
        index = found - H_CONCRETE
        if index >= self.n_types:
            return False
        if expected < H_CONCRETE:
            kind = self.types[index].kind
            if kind == TK_FUNC:
                return expected == H_FUNC
            return expected == H_ANY or expected == H_EQ or expected == (H_STRUCT if kind == TK_STRUCT else H_ARRAY)
        if expected - H_CONCRETE >= self.n_types:
            return False
        wanted = self.types[expected - H_CONCRETE].canonical
        while index != NO_INDEX:  # a supertype's index is smaller: this ends
            if self.types[index].canonical == wanted:
                return True
            index = self.types[index].super
        return False

    def declare(self, functions) -> None:
        """Functions that ``ref.func`` may name in bodies."""
        i: uint32_t
        for index in functions:
            i = index
            if i < self.n_funcs:
                self.declared[i] = 1

    def is_subtype(self, found: uint32_t, expected: uint32_t) -> bool:
        """Whether a value of type ``found`` may stand where ``expected`` is wanted."""
        return self.matches(found, expected)

    def has_default(self, index: uint32_t) -> bool:
        """Whether all fields of the struct at a type index, or the array's element, have a default."""
        if index >= self.n_types:
            raise IndexError(index)
        return self.types[index].defaults != 0


def feature_mask(features) -> int:
    """The set as bits in the order of ``FEATURES``."""
    return sum(1 << i for i, name in enumerate(FEATURES) if name in features)


@cython.cclass
class Bodies:
    """The facts of all bodies, by defined function.

    Where they are ``vouched`` for, somebody who is believed says that they are valid; what only a walk finds out is not
    here, and who builds a body walks over it first.
    """

    def __cinit__(self, module, context: Context, vouched: bool = False):
        i: uint32_t
        at: cython.pointer(ValidBody)
        n_locals: uint64_t
        k: uint32_t
        functions: Functions = module.functions
        own: cython.pointer(FunctionRecord)
        self.n, self.n_runs, self.vouched = functions.n, functions.n_runs, vouched
        self.items = cython.cast(cython.pointer(ValidBody), _array(self.n, cython.sizeof(ValidBody)))
        self.runs = cython.cast(cython.pointer(LocalRun), _array(self.n_runs, cython.sizeof(LocalRun)))
        first: uint32_t = context.n_funcs - self.n
        for i in range(self.n):
            breathe(i)
            own = cython.address(functions.records[i])
            at = cython.address(self.items[i])
            at.func = first + i
            at.type_index = own.type_index
            at.start, at.end = own.start, own.end
            at.n_params = context.types[at.type_index].n_params
            at.first_run = own.first_run
            at.n_runs = functions.records[i + 1].first_run - own.first_run
            n_locals = at.n_params
            for k in range(own.first_run, own.first_run + at.n_runs):
                n_locals += functions.runs[k].count
                if n_locals > 0xFFFFFFF0:
                    raise ValueError("the decoder let too many locals through")
                self.runs[k].end = cython.cast(uint32_t, n_locals)
                self.runs[k].type = functions.runs[k].type
            at.n_locals = cython.cast(uint32_t, n_locals)

    def __dealloc__(self):
        i: uint32_t
        for i in range(self.n_chunks):
            vec_free(self.chunks[i].loops)
            vec_free(self.chunks[i].assigned)
        vec_free(self.chunks)
        vec_free(self.items)
        vec_free(self.runs)

    def plan_chunks(self, bytes_per_chunk: uint32_t) -> int:
        """Cut the bodies into chunks of about that much code, whatever the number of threads; return how many."""
        i: uint32_t
        size: uint64_t = 0
        at: cython.pointer(Chunk)
        self.chunks = cython.cast(cython.pointer(Chunk), _array(self.n, cython.sizeof(Chunk)))
        for i in range(self.n):
            if i == 0 or size >= bytes_per_chunk:
                self.chunks[self.n_chunks].first_body = i
                self.n_chunks += 1
                size = 0
            at = cython.address(self.chunks[self.n_chunks - 1])
            at.last_body = i + 1
            self.items[i].chunk = self.n_chunks - 1
            size += self.items[i].end - self.items[i].start
        return self.n_chunks

    def plan_alone(self, indices) -> int:
        """Make a chunk of each of some bodies, and of no others; return how many."""
        index: uint32_t
        self.chunks = cython.cast(cython.pointer(Chunk), _array(len(indices), cython.sizeof(Chunk)))
        for index in indices:
            if index >= self.n:
                raise IndexError(index)
            self.chunks[self.n_chunks].first_body = index
            self.chunks[self.n_chunks].last_body = index + 1
            self.items[index].chunk = self.n_chunks
            self.n_chunks += 1
        return self.n_chunks

    def leave(self) -> bool:
        """Whether a tail call of one of those that were walked over may end in another instance."""
        i: uint32_t
        flags: uint32_t = 0
        for i in range(self.n):
            flags |= self.items[i].flags
        return flags & VB_LEAVES != 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: uint32_t) -> BodyFacts:
        """A body's facts as a Python object. ValueError where nobody has found them (``validate.find_facts``)."""
        if index >= self.n:
            raise IndexError(index)
        if self.vouched:
            raise ValueError("no walk has been over the bodies")
        i: uint32_t
        k: uint32_t
        at: cython.pointer(ValidBody) = cython.address(self.items[index])
        chunk: cython.pointer(Chunk) = cython.address(self.chunks[at.chunk])
        loops = []
        for i in range(at.first_loop, at.first_loop + at.n_loops):
            fact = chunk.loops[i]
            loops.append(tuple([chunk.assigned[k] for k in range(fact.first, fact.first + fact.count)]))
        return BodyFacts(
            func=at.func,
            type_index=at.type_index,
            start=at.start,
            end=at.end,
            n_params=at.n_params,
            n_locals=at.n_locals,
            max_stack=at.max_stack,
            max_depth=at.max_depth,
            loops=tuple(loops),
            calls=bool(at.flags & VB_CALLS),
            complex=bool(at.flags & VB_COMPLEX),
        )


@cython.final
@cython.cclass
class ValidModule:
    """A module that passed validation, with what the compiler needs of it: where that was known before, made when
    somebody compiles."""

    module = cython.declare(object, visibility="readonly")
    features = cython.declare(object, visibility="readonly")
    made = cython.declare(tuple)
    make = cython.declare(object)

    def __cinit__(self, module, facts: tuple | None, features, make=None):
        self.module = module
        self.made = facts
        self.features = features
        self.make = make

    @cython.cfunc
    def facts(self) -> tuple:
        """Context and bodies. Threads may both make them; the first ones stay."""
        if self.made is None:
            found: tuple = self.make()
            if self.made is None:
                self.made, self.make = found, None
        return self.made

    @property
    def context(self) -> Context:
        """What bodies may refer to."""
        return self.facts()[0]

    @property
    def bodies(self) -> Bodies:
        """The facts of bodies."""
        return self.facts()[1]
