"""The code buffer: bytes, labels, relative fields and the constant pool of one function."""

# strata: hot
import cython
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import int32_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.vec import vec_room

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

from stratavm.base.errors import ResourceLimit


class CodeBuf:
    """Owns the arrays of one function's code; reused by ``clear``."""

    def __cinit__(self, reach: uint32_t):
        self.reach = reach
        self.data = cython.NULL
        self.labels = cython.NULL
        self.fixups = cython.NULL
        self.n = self.cap = 0
        self.n_labels = self.cap_labels = 0
        self.n_fixups = self.cap_fixups = 0

    def __dealloc__(self):
        free(self.data)
        free(self.labels)
        free(self.fixups)

    def __len__(self) -> int:
        return self.n

    def to_bytes(self) -> bytes:
        """A copy of what was emitted."""
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.data), self.n)

    def clear(self) -> cython.int:
        """Empty it, keeping the memory."""
        self.n = self.n_labels = self.n_fixups = 0
        return 0

    def grow(self, size: uint32_t) -> cython.int:
        """Make room for ``size`` more bytes, which there is not."""
        if size > self.reach - self.n:
            with cython.gil:
                raise ResourceLimit(f"the machine code of one function exceeds {self.reach} bytes", limit="code_bytes")
        vec_room(self.data, self.cap, self.n + size)
        if self.cap > self.reach:
            self.cap = self.reach
        return 0

    def label(self) -> uint32_t:
        """A new, unbound label."""
        return self.label_block(1)

    def label_block(self, count: uint32_t) -> uint32_t:
        """``count`` new labels with consecutive numbers."""
        first: uint32_t = self.n_labels
        if count >= NO_LABEL - first:
            with cython.gil:
                raise ResourceLimit("too many labels in one function", limit="labels")
        vec_room(self.labels, self.cap_labels, first + count)
        if count:
            memset(cython.address(self.labels[first]), 0xFF, count * cython.sizeof(uint32_t))
        self.n_labels += count
        return first

    def bind(self, label: uint32_t) -> cython.int:
        """The label means this position."""
        if label >= self.n_labels or self.labels[label] != NO_LABEL:
            with cython.gil:
                raise AssertionError(f"label {label} is unknown or already bound")
        self.labels[label] = self.n
        return 0

    def rel32(self, target: uint32_t, kind: uint32_t, base: uint32_t) -> cython.int:
        """Emit a 32-bit field to be patched by ``finish``; see ``Fixup``."""
        self.reserve(4)
        vec_room(self.fixups, self.cap_fixups, self.n_fixups + 1)
        fix: cython.pointer(Fixup) = cython.address(self.fixups[self.n_fixups])
        fix.at = self.n
        fix.target = target
        fix.base = base
        fix.kind = kind
        self.n_fixups += 1
        put32(self, 0)
        return 0

    def align(self, size: uint32_t, fill: uint8_t) -> cython.int:
        """Fill up to a multiple of ``size`` (a power of two)."""
        rest: uint32_t = (size - self.n % size) % size
        self.reserve(rest)
        memset(self.data + self.n, fill, rest)
        self.n += rest
        return 0

    def finish(self, pool: cython.pointer(cython.const[uint64_t]), n_words: uint32_t) -> cython.int:
        """Place the constant pool behind the code, 16-byte aligned, and patch every field."""
        if n_words:
            self.align(16, 0xCC)
            if n_words > self.reach // 8:
                n_words = self.reach // 8  # reserve() refuses it
            self.reserve(n_words * 8)
        start: uint32_t = self.n
        if n_words:
            memcpy(self.data + start, pool, cython.cast(cython.size_t, n_words) * 8)
            self.n += n_words * 8
        self.patch(start, n_words * 8)
        return 0

    def patch(self, pool: uint32_t, pool_bytes: uint32_t) -> cython.int:
        """Fill in every field, now that all positions are known."""
        i: uint32_t
        value: int32_t
        origin: uint32_t
        target: uint32_t
        for i in range(self.n_fixups):
            fix: cython.pointer(Fixup) = cython.address(self.fixups[i])
            target = NO_LABEL
            origin = fix.at + 4
            if fix.kind == FIX_POOL:
                if fix.target < pool_bytes:
                    target = pool + fix.target
            elif fix.target < self.n_labels:
                target = self.labels[fix.target]
            if fix.kind == FIX_TABLE:
                origin = self.labels[fix.base] if fix.base < self.n_labels else NO_LABEL
            else:
                origin += fix.base
            if target == NO_LABEL or origin == NO_LABEL:
                with cython.gil:
                    raise AssertionError(f"field at {fix.at}: target {fix.target} (kind {fix.kind}) has no place")
            value = cython.cast(int32_t, target - origin)
            memcpy(self.data + fix.at, cython.address(value), 4)
        return 0
