# strata: hot
"""The code buffer: bytes, labels, relative fields and the constant pool of one function.

Jumps are written in their long form. Once the code is there, ``relax`` finds those whose short form reaches, a byte and
a field of a byte; ``follow`` corrects the positions that others noted; ``compact`` moves the code together. All is
linear. Paddings before what is aligned are laid out anew, and may become longer: a jump across one is short only if
it reaches with the longest. What is aligned to half a line of the cache goes to the half where fewer short jumps, up
to the next such place, lie across the ends of lines: such a jump in a loop costs Zen 4 as much as a sixth of its
time.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.stratavm.base.failures import fail_limit, fail_wrong
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free

FIELD = cython.declare(uint32_t, 4)  # bytes of a field
SHORT = cython.declare(uint32_t, 2)  # bytes of a short jump
LINE = cython.declare(uint32_t, 64)  # of the cache
REACH = cython.declare(uint64_t, 128)  # of its field, backward from its end; forward one less


MUCH = cython.declare(uint64_t, 1 << 16)  # bytes that take a while: to copy them, and the faults of new pages


def copied(data, size):
    """What lies there, which nobody changes meanwhile; much of it is copied without the GIL."""
    made: bytes
    to: cython.p_char
    if size < MUCH:
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, data), size)
    made = PyBytes_FromStringAndSize(cython.NULL, size)
    to = PyBytes_AS_STRING(made)
    with cython.nogil:
        memcpy(to, data, size)
    return made


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def other_half(size: uint32_t) -> uint32_t:
    """What a padding up to half a line has to spare, to go on to the other half."""
    return size if size == LINE // 2 else 0


@cython.cclass
class CodeBuf:
    """Owns the arrays of one function's code; reused by ``clear``."""

    def __cinit__(self, target: object):
        self.reach = target.reach
        self.longest = 0
        for code in target.padding:
            self.longest += 1
            memcpy(self.padding[self.longest], cython.cast(cython.p_char, code), self.longest)
        self.data = cython.NULL
        self.labels = cython.NULL
        self.fixups = cython.NULL
        self.n = self.cap = self.slack = 0
        self.n_labels = self.cap_labels = 0
        self.n_fixups = self.cap_fixups = 0

    def __dealloc__(self):
        vec_free(self.data)
        vec_free(self.labels)
        vec_free(self.fixups)

    def __len__(self) -> int:
        return self.n

    def to_bytes(self) -> bytes:
        """A copy of what was emitted."""
        return copied(self.data, self.n)

    def clear(self):
        """Empty it, keeping the memory."""
        self.n = self.n_labels = self.n_fixups = self.slack = 0
        return 0

    def grow(self, size):
        """Make room for ``size`` more bytes, which there is not."""
        if size > self.reach - self.n:
            fail_limit(b"code_bytes", b"the machine code of one function exceeds {} bytes", self.reach)
        vec_room(self.data, self.cap, self.n + size)
        if self.cap > self.reach:
            self.cap = self.reach
        return 0

    def label(self):
        """A new, unbound label."""
        return self.label_block(1)

    def label_block(self, count):
        """``count`` new labels with consecutive numbers."""
        first: uint32_t = self.n_labels
        if count >= NO_LABEL - first:
            fail_limit(b"labels", b"too many labels in one function")
        vec_room(self.labels, self.cap_labels, first + count)
        if count:
            memset(cython.address(self.labels[first]), 0xFF, count * cython.sizeof(Label))
        self.n_labels += count
        return first

    def bind(self, label):
        """The label means this position."""
        if label >= self.n_labels or self.labels[label].at != NO_LABEL:
            fail_wrong(b"label {} is unknown or already bound", label)
        self.labels[label].at = self.n
        self.labels[label].fixups = self.n_fixups
        return 0

    def rel32(self, target, kind, base):
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

    def jump(self, label, size, head):
        """The field of a jump, for which there is room. With it the jump has ``size`` bytes; its short form begins with
        ``head``."""
        vec_room(self.fixups, self.cap_fixups, self.n_fixups + 1)
        fix: cython.pointer(Fixup) = cython.address(self.fixups[self.n_fixups])
        fix.at = self.n
        fix.target = label
        fix.base = 0
        fix.kind = FIX_JUMP
        fix.size = size
        fix.head = head
        self.n_fixups += 1
        self.n += FIELD
        return 0

    def pad(self, size):
        """``size`` bytes that do nothing, in as few instructions as the target has for it."""
        n: uint32_t
        self.reserve(size)
        while size:
            n = self.longest if size > self.longest else size
            memcpy(self.data + self.n, self.padding[n], n)
            self.n += n
            size -= n
        return 0

    def align_code(self, size):
        """What follows begins at a multiple of ``size`` (a power of two)."""
        vec_room(self.fixups, self.cap_fixups, self.n_fixups + 1)
        fix: cython.pointer(Fixup) = cython.address(self.fixups[self.n_fixups])
        fix.at = self.n
        fix.target = size
        fix.kind = FIX_ALIGN
        fix.size = (-self.n & (size - 1)) + other_half(size)
        self.slack += size - 1
        self.n_fixups += 1
        return self.pad(fix.size)

    # ---- short jumps ---------------------------------------------------------------------------

    def relax(self):
        """Find the jumps whose short form reaches, and where everything will be. Positions that others noted stay as
        they are until ``follow`` corrects them, the code until ``compact``."""
        if self.slack:
            self.weigh()
        self.shorten()
        return self.lay_out() if self.slack else 0

    def weigh(self):
        """What paddings before each field may grow by."""
        i: uint32_t
        slack: uint32_t = 0
        for i in range(self.n_fixups):
            fix: cython.pointer(Fixup) = cython.address(self.fixups[i])
            fix.slack = slack
            if fix.kind == FIX_ALIGN:
                slack += fix.target - 1 - other_half(fix.target)
        return 0

    def shorten(self):
        """The jumps that reach their labels in the short form, whatever becomes of paddings between; and how far all
        moves without these. What lies before a jump is decided, so a label there is as near as it will be."""
        i: uint32_t
        moved: uint32_t = 0
        distance: uint64_t
        fixups: cython.pointer(Fixup) = self.fixups
        slack: uint32_t = self.slack
        for i in range(self.n_fixups):
            fix: cython.pointer(Fixup) = cython.address(fixups[i])
            fix.moved = moved
            if fix.kind != FIX_JUMP or fix.target >= self.n_labels:
                continue
            label: cython.pointer(Label) = cython.address(self.labels[fix.target])
            if label.fixups > i:
                distance = cython.cast(uint64_t, label.at) - (fix.at + FIELD) + 1
            else:
                distance = fix.at + FIELD - fix.size + SHORT - label.at - (moved - fixups[label.fixups].moved)
            if distance <= REACH and (not slack or distance + self.growth(i, label.fixups) <= REACH):
                fix.kind = FIX_SHORT
                moved += fix.size - SHORT
        self.moved = moved
        return 0

    def growth(self, one, other):
        """What paddings between two fields may grow by; less than nothing where they were made with room to spare."""
        last: cython.pointer(Fixup) = cython.address(self.fixups[self.n_fixups - 1])
        behind: uint32_t = self.fixups[other].slack if other < self.n_fixups else last.slack
        if other >= self.n_fixups and last.kind == FIX_ALIGN:
            behind += last.target - 1 - other_half(last.target)
        behind -= self.fixups[one].slack
        return cython.cast(int32_t, behind if other > one else 0 - behind)

    def lay_out(self):
        """How far everything moves: the padding before what is aligned depends on all before it."""
        place(self, True)
        return 0 if all_reach(self) else place(self, False)

    def follow(self, table, stride, count, behind):
        """Correct ascending positions, each the first of ``stride`` words; ``behind``: they mean what is behind a
        padding that begins there."""
        i: uint32_t
        k: uint32_t = 0
        end: uint32_t
        fix: cython.pointer(Fixup) = self.fixups
        count *= stride
        for i in range(self.n_fixups):
            end = fix.at + (0 if behind and fix.kind == FIX_ALIGN else 1)
            while k < count and table[k] < end:
                table[k] -= fix.moved
                k += stride
            fix += 1
        while k < count:
            table[k] -= self.moved
            k += stride
        return 0

    def compact(self):
        """Move code, fields and labels to where ``relax`` found that they will be."""
        i: uint32_t
        start: uint32_t
        src: uint32_t = 0
        end: uint32_t = self.n
        fixups: cython.pointer(Fixup) = self.fixups
        n: uint32_t = self.n_fixups
        label: cython.pointer(Label) = self.labels
        self.n = 0
        for i in range(self.n_labels):
            if label.at != NO_LABEL:
                label.at -= fixups[label.fixups].moved if label.fixups < n else self.moved
            label += 1
        for i in range(n):
            fix: cython.pointer(Fixup) = cython.address(fixups[i])
            if fix.kind != FIX_SHORT and fix.kind != FIX_ALIGN:
                fix.at -= fix.moved
                continue
            start = fix.at if fix.kind == FIX_ALIGN else fix.at + FIELD - fix.size
            self.bring(src, start)
            src = start + fix.size
            if fix.kind == FIX_ALIGN:
                fix.size = fix.slack
                fix.at = self.n
                self.pad(fix.size)
            else:
                put8(self, fix.head)
                fix.at = self.n
                put8(self, 0)
        memmove(self.data + self.n, self.data + src, end - src)
        self.n += end - src
        return 0

    def bring(self, src, end):
        """Copy code down to the end of what is in its place: words where it goes far enough that those which begin
        before its end do not reach what follows. There must be a word behind it."""
        k: uint32_t = 0
        size: uint32_t = end - src
        word: uint64_t
        if src - self.n >= 8:
            while k < size:
                memcpy(cython.address(word), self.data + src + k, 8)
                memcpy(self.data + self.n + k, cython.address(word), 8)
                k += 8
        elif self.n != src:
            memmove(self.data + self.n, self.data + src, size)
        self.n += size
        return 0

    def align(self, size, fill):
        """Fill up to a multiple of ``size`` (a power of two)."""
        rest: uint32_t = (size - self.n % size) % size
        self.reserve(rest)
        memset(self.data + self.n, fill, rest)
        self.n += rest
        return 0

    def finish(self, pool, n_words):
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

    def patch(self, pool, pool_bytes):
        """Fill in every field, now that all positions are known."""
        i: uint32_t
        value: int32_t
        target: uint32_t
        fixups: cython.pointer(Fixup) = self.fixups
        data: cython.pointer(uint8_t) = self.data
        for i in range(self.n_fixups):
            fix: cython.pointer(Fixup) = cython.address(fixups[i])
            if fix.kind == FIX_ALIGN:
                continue
            target = NO_LABEL
            if fix.kind == FIX_POOL:
                if fix.target < pool_bytes:
                    target = pool + fix.target
            elif fix.target < self.n_labels:
                target = self.labels[fix.target].at
            value = cython.cast(int32_t, target - (fix.at + (1 if fix.kind == FIX_SHORT else FIELD) + fix.base))
            if target == NO_LABEL or (fix.kind == FIX_SHORT and value != cython.cast(int8_t, value)):
                fail_wrong(b"field at {}: target {} (kind {}) has no place in reach", fix.at, fix.target, fix.kind)
            if fix.kind == FIX_SHORT:
                data[fix.at] = cython.cast(uint8_t, value)
            else:
                memcpy(data + fix.at, cython.address(value), 4)
        return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def place(b: CodeBuf, choosing: cython.bint) -> cython.int:
    """Where everything goes. Paddings get their sizes, in place of how far things could move; those before half a line
    go on to the next one if that is better (``choosing``), and all so far has become shorter by that much."""
    i: uint32_t
    size: uint32_t
    moved: uint32_t = 0
    for i in range(b.n_fixups):
        fix: cython.pointer(Fixup) = cython.address(b.fixups[i])
        fix.moved = moved
        if fix.kind == FIX_SHORT:
            moved += fix.size - SHORT
        elif fix.kind == FIX_ALIGN:
            size = -(fix.at - moved) & (fix.target - 1)
            if choosing and other_half(fix.target):
                if splits(b, i, fix.at - moved + size) > splits(b, i, fix.at - moved + size + LINE // 2):
                    size += LINE // 2
            # Not below zero: an end that comes sooner rounds up to no more than it did, with what is to spare.
            moved += fix.size - size
            fix.slack = size
    b.moved = moved
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def splits(b: CodeBuf, padding: uint32_t, start: uint32_t) -> uint32_t:
    """How many short jumps lie across the end of a line, of those up to the next padding, if what is behind this one
    goes to a place."""
    k: uint32_t
    found: uint32_t = 0
    fix: cython.pointer(Fixup) = cython.address(b.fixups[padding])
    start -= fix.at + fix.size
    for k in range(padding + 1, b.n_fixups):
        fix = cython.address(b.fixups[k])
        if fix.kind == FIX_ALIGN:
            break
        if fix.kind == FIX_SHORT:
            found += (start + fix.at + FIELD - fix.size) % LINE == LINE - 1
            start -= fix.size - SHORT
    return found


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def all_reach(b: CodeBuf) -> cython.bint:
    """Whether all short jumps reach their labels where these go."""
    i: uint32_t
    distance: int64_t
    for i in range(b.n_fixups):
        fix: cython.pointer(Fixup) = cython.address(b.fixups[i])
        if fix.kind == FIX_SHORT:
            label: cython.pointer(Label) = cython.address(b.labels[fix.target])
            distance = cython.cast(int64_t, label.at) - cython.cast(int64_t, fix.at + FIELD - fix.size + SHORT)
            distance += fix.moved
            distance -= b.fixups[label.fixups].moved if label.fixups < b.n_fixups else b.moved
            if distance < -cython.cast(int64_t, REACH) or distance >= cython.cast(int64_t, REACH):
                return False
    return True
