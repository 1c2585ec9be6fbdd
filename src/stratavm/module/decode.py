"""The decoder: a binary module to ``Module``. Strict, linear in sections and functions; never looks at instructions
of bodies (the walk does), and delimits constant expressions only. Section 5.5 of the specification.
"""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.base.leb import bytes_t
from cython.cimports.stratavm.module.reader import Reader, pause
from cython.cimports.stratavm.module.sections import (
    DATA_COMPUTED,
    DATA_PASSIVE,
    DATA_PLAIN,
    DATA_WIDE,
    DataRecord,
    Datas,
    Functions,
    new_const,
    wide_place,
)
from cython.cimports.stratavm.module.typesec import (
    global_type,
    memory_type,
    rec_group,
    ref_type,
    table_type,
    val_type,
)

from stratavm.base.errors import DecodeError, ModuleLimit, Unsupported, ValidationError
from stratavm.base.importing import begin_import, end_import
from stratavm.module.constexpr import skip_expression
from stratavm.module.features import DEFAULT
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.module.model import (
    Custom,
    Element,
    Export,
    Global,
    Import,
    Module,
    Names,
    Table,
)
from stratavm.module.sections import untracked
from stratavm.spec.types import FuncType, TagType

KINDS = ("func", "table", "memory", "global", "tag")
COMPACT = (0x7E, 0x7F)
"""Behind a module and an empty name: a list of names with types, or with one type. Source: the proposal."""
SECTION_NAMES = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data",
    "data count", "tag",
)  # fmt: skip
RANKS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6)  # where a section stands, by id
REF_FUNC = 0x64 | 0x70 << 8
FUNCREF = 0x63 | 0x70 << 8
HEADER_BYTES = 8
SECTION_HEAD = 6
"""A section's id and size, or two numbers behind them, take no more."""
FEW_BYTES = cython.declare(cython.Py_ssize_t, 6)  # of a short constant expression: opcode, four bytes, end
FEW_RUNS = cython.declare(cython.int, 0x40)


def no_header(data: bytes) -> DecodeError:
    """What is wrong with the magic number or the version; other formats are called by their name."""
    at: int = 0 if data[:4] != b"\0asm" else 4
    words: str = "unknown binary version" if at else "magic header not detected"
    cut: str = "unexpected end: " if len(data) < at + 4 else ""
    begin_import()
    try:
        from stratavm.module.foreign import recognise
    finally:
        end_import()

    name, action = recognise(data) or ("", "" if at else "no module begins so: is it the right file, and is it whole?")
    found: str = data[at : at + 4].hex(" ") or "nothing"
    return DecodeError(
        cut + words + (f": this is {name}" if name else ""),
        offset=at,
        expected="01 00 00 00" if at else "00 61 73 6d",
        found=found,
        hint=action,
    )


@cython.cclass
class Decoder:
    """What has been read so far: one list per index space."""

    r: Reader
    data: bytes
    limits: object
    rec_groups: list
    types: list
    imports: list
    tables: list
    memories: list
    tags: list
    globals: list
    exports: list
    start: object
    elements: list
    data_count: object
    functions: Functions
    is_known: cython.bint  # functions and segments are those of the binary already
    n_bodies: uint32_t
    datas: Datas
    is_lone: cython.bint  # the expression that was read last is one ``i32.const``, of this value
    lone: uint32_t
    customs: list
    rest: object  # what reads parts of the binary that are not there yet, or None
    imported_indices: set  # of types of imported functions, and those types
    imported_types: set
    imported_tables: cython.int
    imported_memories: cython.int
    places: list  # (section, offset) of every item, or None: they are wanted only for an error

    def __cinit__(self, data: bytes, features: frozenset, limits: object, known: object = None):
        self.data = data
        self.limits = limits
        self.r = Reader(data, features, limits)
        self.rec_groups, self.types, self.imports = [], [], []
        self.tables, self.memories, self.tags, self.globals, self.exports = [], [], [], [], []
        self.elements, self.customs = [], []
        self.is_known = known is not None
        self.functions, self.datas = known or (Functions.__new__(Functions), Datas.__new__(Datas))
        self.imported_indices, self.imported_types = set(), set()

    @cython.cfunc
    @cython.inline
    @cython.exceptval(-1)
    def note(self, section: cython.int) -> cython.int:
        """An item of a section begins here."""
        pause(self.r)
        if self.places is not None:
            self.places.append((section, self.r.offset()))
        return 0

    @cython.cfunc
    def module(self) -> object:
        """Header, sections, and what only the whole shows."""
        r: Reader = self.r
        section: cython.int
        before: cython.int = 0
        end: bytes_t
        size: cython.Py_ssize_t
        self.header()
        while r.left():
            self.need(r.offset(), SECTION_HEAD)
            section = self.section_id(before)
            size = r.u32()
            if size > r.left():
                r.fail("length out of bounds", f"{size} bytes of {SECTION_NAMES[section]} section", f"{r.left()} bytes")
            end = r.end
            r.end = r.at + size
            self.need(r.offset(), SECTION_HEAD if section == 0 or section == 10 or section == 11 else size)
            self.section(section, before)
            if r.at != r.end:
                r.fail("section size mismatch", f"the end of the {SECTION_NAMES[section]} section", f"{r.left()} bytes")
            r.end = end
            if section:
                before = section
        return self.finish()

    @cython.cfunc
    @cython.exceptval(-1)
    def need(self, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        """Have so many bytes there."""
        if self.rest is not None:
            self.rest.need(at, min(at + size, len(self.data)))
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def header(self) -> cython.int:
        """Magic number and version."""
        if self.data[:HEADER_BYTES] != b"\0asm\1\0\0\0":
            raise no_header(self.data)
        return self.r.skip(HEADER_BYTES)

    @cython.cfunc
    @cython.exceptval(-1)
    def section_id(self, before: cython.int) -> cython.int:
        """The next section's id, held against the order of sections."""
        r: Reader = self.r
        at: cython.Py_ssize_t = r.offset()
        section: cython.int = r.byte()
        if section > 13:
            r.fail("malformed section id", "0 to 13", hex(section), at)
        if section and RANKS[section] <= RANKS[before]:
            r.fail(
                "unexpected content after last section", f"what follows the {SECTION_NAMES[before]} section",
                f"a {SECTION_NAMES[section]} section", at,
            )  # fmt: skip
        return section

    @cython.cfunc
    @cython.exceptval(-1)
    def section(self, section: cython.int, before: cython.int) -> cython.int:
        """One section's content."""
        r: Reader = self.r
        if section == 0:
            return self.custom(before)
        if section == 1:
            return self.type_section()
        if section == 2:
            return self.import_section()
        if section == 3:
            return self.function_section()
        elif section == 4:
            return self.table_section()
        elif section == 5:
            return self.memory_section()
        elif section == 6:
            for _ in range(r.count(3, "globals", "globals")):
                self.note(6)
                type_ = global_type(r)
                self.globals.append(Global(type_, self.expression()))
        elif section == 7:
            return self.export_section()
        elif section == 8:
            self.note(8)
            self.start = r.u32()
        elif section == 9:
            for _ in range(r.count(2, "elements", "element segments")):
                self.note(9)
                self.elements.append(self.element())
        elif section == 10:
            return self.code_section()
        elif section == 11:
            return self.data_section()
        elif section == 12:
            self.note(12)
            r.need("bulk-memory", "data count section")
            self.data_count = r.u32()
        else:
            r.need("exceptions", "tag section")
            for _ in range(r.count(2, "tags", "tags")):
                self.note(13)
                self.tags.append(self.tag())
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def custom(self, before: cython.int) -> cython.int:
        """A custom section, kept raw."""
        r: Reader = self.r
        begin: bytes_t = r.at
        if self.rest is not None:
            size: cython.Py_ssize_t = r.u32()  # by itself: C has no order of arguments
            r.at = begin
            self.need(r.offset(), size + SECTION_HEAD)
        name: str = r.name()
        at: cython.Py_ssize_t = r.offset()
        if len(self.customs) >= self.limits.customs:
            raise ModuleLimit(
                "too many custom sections", limit="customs", offset=at, expected=f"at most {self.limits.customs}",
                found="more",
            )  # fmt: skip
        r.skip(r.left())
        self.customs.append(Custom(name, memoryview(r.data)[at : r.offset()], at, before))
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def type_section(self) -> cython.int:
        """Recursion groups; the limit counts the types in them."""
        r: Reader = self.r
        for _ in range(r.count(1, "types", "types")):
            self.note(1)
            group = rec_group(r)
            self.rec_groups.append(group)
            self.types.extend(group.types)
            if len(self.types) > self.limits.types:
                raise ModuleLimit(
                    "too many types", limit="types", offset=r.offset(), expected=f"at most {self.limits.types}",
                    found=f"{len(self.types)}",
                )  # fmt: skip
        return 0

    @cython.cfunc
    def func_type(self, index: uint32_t, at: cython.Py_ssize_t) -> object:
        """The function type that an import or a tag names."""
        if index >= cython.cast(uint32_t, len(self.types)):
            raise ValidationError(f"unknown type {index}", offset=at, expected=f"one of {len(self.types)} types")
        found: object = self.types[index].composite
        if not isinstance(found, FuncType):
            raise ValidationError(f"type mismatch: type {index} is not a function type", offset=at)
        return found

    @cython.cfunc
    def tag(self) -> object:
        """A tag's type."""
        r: Reader = self.r
        at: cython.Py_ssize_t = r.offset()
        attribute: cython.int = r.byte()
        if attribute:
            r.fail("malformed tag attribute", "0", str(attribute), at)
        index: uint32_t = r.u32()
        return TagType(self.func_type(index, at), index)

    @cython.cfunc
    @cython.exceptval(-1)
    def import_section(self) -> cython.int:
        """Imports with their types resolved."""
        r: Reader = self.r
        at: cython.Py_ssize_t
        kind: cython.int
        for _ in range(r.count(3, "imports", "imports")):
            self.note(2)
            module: str = r.name()
            name: str = r.name()
            index: object = None
            at = r.offset()
            kind = r.byte()
            if kind == 0:
                index = r.u32()
                type_: object = self.func_type(index, at)
                if index not in self.imported_indices:  # a type may be long, and a million functions may have it
                    self.imported_indices.add(index)
                    self.count_type(type_, at)
            elif kind == 1:
                self.imported_tables += 1
                type_ = table_type(r)
            elif kind == 2:
                self.imported_memories += 1
                type_ = memory_type(r)
            elif kind == 3:
                type_ = global_type(r)
                if type_.mutable:
                    r.need("mutable-globals", "import of a mutable global", at)
            elif kind == 4:
                r.need("exceptions", "malformed import kind: tag", at)
                type_ = self.tag()
                index = type_.type_index
            else:
                if not name and kind in COMPACT:
                    raise Unsupported(
                        "imports in groups need the proposal compact-import-section, which Strata does not have",
                        feature="compact-import-section", offset=at,
                        hint="have the linker write each import with its module",
                    )  # fmt: skip
                r.fail("malformed import kind", "0 to 4", hex(kind), at)
            self.imports.append(Import(module, name, KINDS[kind], type_, index))
        self.plurals()
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def count_type(self, type_: object, at: cython.Py_ssize_t) -> cython.int:
        """A function of this type is imported; the limit counts types that differ, wherever they are defined."""
        self.imported_types.add((type_.params, type_.results))
        if len(self.imported_types) > self.limits.imported_types:
            raise ModuleLimit(
                "too many types of imported functions", limit="imported_types", offset=at,
                expected=f"at most {self.limits.imported_types}", found="more",
            )  # fmt: skip
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def plurals(self) -> cython.int:
        """Several tables or memories need a proposal."""
        if self.imported_tables + len(self.tables) > 1:
            self.r.need("reference-types", "multiple tables")
        if self.imported_memories + len(self.memories) > 1:
            self.r.need("multi-memory", "multiple memories")
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def table_section(self) -> cython.int:
        """Tables, with an initial value where one is given."""
        r: Reader = self.r
        for _ in range(r.count(2, "tables", "tables")):
            self.note(4)
            if r.peek() != 0x40:
                self.tables.append(Table(table_type(r)))
                continue
            r.need("function-references", "malformed reference type: table with an initial value")
            r.byte()
            if r.byte():
                r.fail("malformed table", "0", "", r.offset() - 1)
            type_ = table_type(r)
            self.tables.append(Table(type_, self.expression()))
        return self.plurals()

    @cython.cfunc
    @cython.exceptval(-1)
    def memory_section(self) -> cython.int:
        """Memory types."""
        r: Reader = self.r
        for _ in range(r.count(1, "memories", "memories")):
            self.note(5)
            self.memories.append(memory_type(r))
        return self.plurals()

    @cython.cfunc
    @cython.exceptval(-1)
    def export_section(self) -> cython.int:
        """Exports."""
        r: Reader = self.r
        kind: cython.int
        for _ in range(r.count(3, "exports", "exports")):
            self.note(7)
            name: str = r.name()
            kind = r.byte()
            if kind > 4:
                r.fail("malformed export kind", "0 to 4", hex(kind), r.offset() - 1)
            if kind == 4:
                r.need("exceptions", "malformed export kind: tag")
            self.exports.append(Export(name, KINDS[kind], r.u32()))
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def pass_constant(self) -> cython.bint:
        """Go behind a lone ``i32.const`` of up to four bytes, as nearly all offsets are. False where it is not that."""
        r: Reader = self.r
        at: bytes_t = r.at
        value: uint32_t = 0
        shift: uint32_t = 0
        if r.end - at < FEW_BYTES or at[0] != 0x41:
            return False
        while True:
            at += 1
            value |= cython.cast(uint32_t, at[0] & 0x7F) << shift
            shift += 7
            if at[0] < 0x80 or shift == 28:
                break
        if at[0] >= 0x80 or at[1] != 0x0B:
            return False
        if at[0] & 0x40:
            value |= cython.cast(uint32_t, 0xFFFFFFFF) << shift
        self.is_lone = True
        self.lone = value
        r.at = at + 2
        return True

    @cython.cfunc
    @cython.exceptval(-1)
    def pass_expression(self) -> cython.int:
        """Go behind a constant expression: delimited, not judged."""
        r: Reader = self.r
        begin: bytes_t = r.at
        if self.pass_constant():
            return 0
        code: cython.int = r.byte()
        self.is_lone = False
        if code == 0x41 or code == 0x23 or code == 0xD2:  # i32.const, global.get, ref.func: nearly all of them
            if code == 0x41:
                self.lone = cython.cast(uint32_t, r.s33() & 0xFFFFFFFF)
            else:
                r.u32()
            if r.peek() == 0x0B and (code != 0x41 or r.at - begin <= 5):
                self.is_lone = code == 0x41
                r.at += 1
                return 0
        r.at = begin
        at: cython.Py_ssize_t = r.offset()
        at = skip_expression(r.data, at, r.end - r.start, self.limits)
        r.at = r.start + at
        return 0

    @cython.cfunc
    def expression(self) -> object:
        """A constant expression."""
        r: Reader = self.r
        at: cython.Py_ssize_t = r.offset()
        self.pass_expression()
        return new_const(r.data[at : r.offset()], at, self.lone if self.is_lone else None)

    @cython.cfunc
    def element(self) -> object:
        """An element segment. Bit 0: passive or declared; bit 1: explicit index or declared; bit 2: expressions."""
        r: Reader = self.r
        at: cython.Py_ssize_t = r.offset()
        flags: uint32_t = r.u32()
        table: uint32_t = 0
        offset: object = None
        type_: uint32_t = FUNCREF if flags & 4 else REF_FUNC
        mode: str = "active"
        if flags > 7:
            r.fail("malformed elements segment kind", "0 to 7", str(flags), at)
        if flags:
            r.need("bulk-memory", "element segment that is not plain", at)
        if flags & 1:
            mode = "declared" if flags & 2 else "passive"
        else:
            if flags & 2:
                table = r.u32()
            offset = self.expression()
        if flags & 3:
            if flags & 4:
                type_ = ref_type(r)
            elif r.byte():
                r.fail("malformed element kind", "0", "", r.offset() - 1)
        if flags & 4:
            exprs: list = []
            for _ in range(r.count(1, "element_items", "elements")):
                pause(r)
                exprs.append(self.expression())
            return Element(mode, type_, (), tuple(exprs), table, offset)
        funcs: list = []
        for _ in range(r.count(1, "element_items", "elements")):
            pause(r)
            funcs.append(r.u32())
        return Element(mode, type_, untracked(tuple(funcs)), None, table, offset)

    @cython.cfunc
    @cython.exceptval(-1)
    def data_section(self) -> cython.int:
        """Data segments."""
        i: uint32_t
        count: uint32_t = self.r.count(2, "datas", "data segments")
        self.datas.binary = self.data
        if self.is_known:
            return self.pass_known(count, self.datas.n)
        self.datas.reserve(count)
        for i in range(self.datas.n):
            self.note(11)
            self.segment(cython.address(self.datas.records[i]))
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def segment(self, segment: cython.pointer(DataRecord)) -> cython.int:
        """A data segment, as a range."""
        r: Reader = self.r
        at: cython.Py_ssize_t = r.offset()
        flags: uint32_t = r.u32()
        if flags > 2:
            r.fail("malformed data segment kind", "0 to 2", str(flags), at)
        if flags:
            r.need("bulk-memory", "data segment that is not plain", at)
        if flags == 2:
            segment.memory = r.u32()
        segment.kind = DATA_PASSIVE
        if flags != 1:
            segment.first = r.offset()
            self.pass_expression()
            segment.last = r.offset()
            segment.kind = DATA_PLAIN if self.is_lone else DATA_COMPUTED
            segment.place = self.lone
            if not self.is_lone and r.data[segment.first] == 0x42:
                place: object = wide_place(r.data[segment.first : segment.last])
                if place is not None:
                    segment.kind = DATA_WIDE
                    segment.place = place
        size: cython.Py_ssize_t = r.u32()
        segment.start = r.offset()
        r.skip(size)
        segment.end = r.offset()
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def pass_known(self, count: uint32_t, known: uint32_t) -> cython.int:
        """Go behind a section whose items are known."""
        if count != known:
            raise ValueError(f"{known} items were known, and there are {count}")
        self.r.at = self.r.end
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def function_section(self) -> cython.int:
        """The types of functions; their bodies come later."""
        i: uint32_t
        count: uint32_t = self.r.count(1, "functions", "functions")
        if self.is_known:
            return self.pass_known(count, self.functions.n)
        self.functions.reserve(count)
        for i in range(self.functions.n):
            self.note(3)
            self.functions.records[i].type_index = self.r.u32()
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def code_section(self) -> cython.int:
        """Bodies: where they lie, and their locals."""
        r: Reader = self.r
        end: bytes_t
        section_end: bytes_t = r.end
        first: uint32_t
        size: cython.Py_ssize_t
        largest: cython.Py_ssize_t = self.limits.function_bytes
        most: cython.longlong = self.limits.locals
        count: uint32_t = r.count(3, "functions", "functions")
        if self.is_known:
            self.n_bodies = count
            return self.pass_known(count, self.functions.n)
        for _ in range(count):
            pause(r)
            size = r.u32()
            if size > r.left():
                r.fail("unexpected end of section or function", f"{size} bytes of code", f"{r.left()} bytes")
            if size > largest:
                raise ModuleLimit(
                    "function too large", limit="function_bytes", offset=r.offset(),
                    expected=f"at most {largest} bytes", found=f"{size} bytes",
                )  # fmt: skip
            end = r.at + size
            r.end = end
            first = self.functions.n_runs
            self.local_runs(most)
            if self.n_bodies < self.functions.n:
                self.functions.body(self.n_bodies, r.offset(), end - r.start, first)
            else:  # nobody will ask for it: there is an error at the end
                self.functions.n_runs = first
            self.n_bodies += 1
            r.at = end
            r.end = section_end
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def local_runs(self, most: cython.longlong) -> cython.int:
        """The runs of locals at the head of a body."""
        r: Reader = self.r
        at: cython.Py_ssize_t = r.offset()
        total: cython.longlong = 0
        n: uint32_t
        count: uint32_t
        if r.peek() == 0:
            r.at += 1
            return 0
        if 0 < r.peek() < FEW_RUNS and 2 * r.peek() < r.left():
            n = r.byte()
        else:
            n = r.count(2, "function_bytes", "runs of locals")
        for _ in range(n):
            pause(r)
            count = r.u32()
            total += count
            self.functions.run(count, val_type(r))
            if total > most:
                raise ModuleLimit(
                    "too many locals", limit="locals", offset=at, expected=f"at most {most}", found=str(total)
                )
        return 0

    @cython.cfunc
    def finish(self) -> object:
        """The module, once all sections are there."""
        if not self.is_known:
            self.functions.records[self.functions.n].first_run = self.functions.n_runs
        elif self.n_bodies != self.functions.n or (self.datas.n and self.datas.binary is None):
            raise ValueError("items were known of sections that are not there")
        if self.functions.n != self.n_bodies:
            self.r.fail(
                "function and code section have inconsistent lengths", f"{self.functions.n} bodies", str(self.n_bodies)
            )
        if self.data_count is not None and self.data_count != self.datas.n:
            self.r.fail(
                "data count and data section have inconsistent lengths", f"{self.data_count} data segments",
                str(self.datas.n),
            )  # fmt: skip
        made: object = Module(
            binary=self.data,
            rec_groups=tuple(self.rec_groups),
            imports=tuple(self.imports),
            functions=self.functions,
            tables=tuple(self.tables),
            memories=tuple(self.memories),
            tags=tuple(self.tags),
            globals=tuple(self.globals),
            exports=tuple(self.exports),
            start=self.start,
            elements=tuple(self.elements),
            datas=self.datas,
            data_count=self.data_count,
            customs=tuple(self.customs),
            names=self.names(),
        )
        if self.rest is not None:
            made.leave(self.rest)
        return made

    @cython.cfunc
    def names(self) -> object:
        """The first name section, as far as it can be read; of what is known, when somebody asks for a name."""
        for custom in self.customs:
            if custom.name == "name":
                begin_import()
                try:
                    from stratavm.module.names import read_names, unread_names  # seldom here
                finally:
                    end_import()

                place: tuple = (self.data, self.limits, custom.offset, custom.offset + len(custom.data), self.rest)
                return unread_names(place) if self.is_known else read_names(place)
        return Names()


def decode(
    data: object, *, features: frozenset = DEFAULT, limits: object = DEFAULT_LIMITS, known: object = None,
    rest: object = None,
) -> Module:  # fmt: skip
    """Decode a binary module, given as bytes or whatever has a buffer (which is copied).

    ``features`` are the names of the proposals that it may use; ``limits`` bounds what it may contain. Raises
    ``DecodeError`` (malformed), ``ModuleLimit`` (over a limit), ``Unsupported`` (a proposal that is not enabled) and
    ``ValidationError`` (an import of an unknown type).

    ``known`` are the functions and data segments of this binary, where somebody who is believed says what they are
    (``skeleton.unpack``): their sections are passed over then. ``ValueError`` where they are surely not. Then ``rest``
    may be a ``Reading``, which reads what is not there yet of ``data``, now or when somebody asks.
    """
    binary: bytes = data if isinstance(data, bytes) else bytes(memoryview(data))
    decoder: Decoder
    if len(binary) > limits.module_bytes:
        raise ModuleLimit(
            "module too large", limit="module_bytes", expected=f"at most {limits.module_bytes} bytes",
            found=f"{len(binary)} bytes",
        )  # fmt: skip
    decoder = Decoder(binary, frozenset(features), limits, known)
    decoder.rest = decoder.datas.rest = rest
    return decoder.module()


def item_places(data: bytes, features: frozenset, limits: object) -> list:
    """Where the items of all sections begin, as (section, offset) in order, of a binary that ``decode`` accepts."""
    decoder: Decoder = Decoder(data, features, limits)
    decoder.places = []
    decoder.module()
    return decoder.places
