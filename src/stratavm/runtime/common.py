"""What clones of a module that keeps its functions to itself have in common besides its code (ADR-0062): FuncRecs, and
what their tables begin with. Owns neither who may have them nor when they are made."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import FuncRec
from cython.cimports.stratavm.runtime.native import load_ptr
from cython.cimports.stratavm.runtime.wipe import Original


@cython.auto_pickle(False)
@cython.cclass
class CommonRecs:
    """FuncRecs of no instance: their context is 0, which is that of whoever calls. It refers to no object, so instances
    keep it as long as their code may run."""

    def __init__(self):
        raise TypeError("a blueprint makes its FuncRecs")

    def begin(self, originals, count):
        """Become a copy of FuncRecs that have neither code nor context."""
        size: uint64_t = cython.sizeof(FuncRec) * cython.cast(uint64_t, count)
        self.recs = cython.cast(cython.pointer(FuncRec), malloc(size + 1))
        if self.recs == cython.NULL:
            raise MemoryError("no memory for the functions of clones")
        memcpy(self.recs, originals, size)
        self.bytes = size
        return 0

    def take_code(self, codes, n_imported_funcs):
        """Get the code of a module's table, once; a FuncRec gets better code when it is called.

        Raises:
            ValueError: they have code of another one.
        """
        i: uint64_t
        rec: cython.pointer(FuncRec)
        if self.codes == codes:
            return 0
        if self.codes != cython.NULL:
            raise ValueError("common FuncRecs have code of another table")
        self.codes = codes
        for i in range(self.bytes // cython.sizeof(FuncRec)):
            rec = cython.address(self.recs[i])
            rec.code = load_ptr(cython.address(codes[rec.func - n_imported_funcs]))
        return 0

    def __dealloc__(self):
        free(self.recs)


@cython.auto_pickle(False)
@cython.cclass
class TableImage:
    """The elements of a table as all clones have them; ``snapshot`` makes it."""

    def __init__(self):
        raise TypeError("a snapshot makes what its tables begin with")

    def content(self):
        """The raw elements. Those that are imported functions, which differ, are null."""
        if self.shown is not None:
            original: Original = self.shown.original
            return cython.cast(cython.pointer(cython.const[uint64_t]), original.content)
        held: cython.p_char = self.raws
        return cython.cast(cython.pointer(cython.const[uint64_t]), cython.cast(cython.p_void, held))
