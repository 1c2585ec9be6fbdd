# strata: hot
"""Where the code of a module's functions is: one slot for each, the same in all its instances, and what is known of how
much the functions run."""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.runtime.codemap import NO_FUNC, CodeRec, OsrEntry, OsrPlace, find_code, find_entry
from cython.cimports.stratavm.runtime.native import load_ptr, or_32, swap_ptr

MOST_PERIOD = cython.declare(uint32_t, 1024)  # a word of counters begins with up to twice as much, less 2


def span_of(period, chance):
    """What a word of counters begins with, by a random byte: 0 by 0, else up to twice the period less 2, all about as
    often. Steps of five eighths of the range leave no common divisor: calls in turn would be in step with it."""
    reach: uint32_t = 2 * period - 1
    return chance * (reach * 158 >> 8) % reach


def is_due(tallies, at, ticks):
    """See the header. At ticks for the first time, and then less and less often: a thread without the GIL has to wait
    for it. Not where a young program has met the function by chance, as ``Thresholds.is_chance`` has it of a body of
    any size: to ask Python takes 20 to 45 microseconds of a program whose code is all that the caches hold."""
    tally: cython.pointer(Tally) = cython.address(tallies.of[at])
    due: uint32_t = tally.ask_at if tally.ask_at else tallies.first
    found: cython.bint = ticks and tally.ticks & (tally.ticks - 1) == 0
    if found:
        tallies.seen_ticks += tally.ticks - tally.ticks // 2
    if tally.calls < due and not found:
        return False
    if tallies.seen_ticks >= tallies.young_ticks or tally.calls >= tallies.young_calls:
        if not tallies.patient or has_waited(tallies, at) or (ticks and tally.ticks > 1) or not put_off(tallies, at):
            return True
    elif tally.ticks > 1 and 2 * tally.ticks >= tallies.seen_ticks:
        return True
    tally.ask_at = max(min(tally.calls, (NEVER_AGAIN - 1) // 2) * 2, tallies.first, 1)
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def has_waited(tallies: cython.pointer(Tallies), at: uint32_t) -> cython.bint:
    """Whether a function was put off, which is forgotten: what is due a second time is asked about now, and once. Its
    calls may be so short that no tick ever meets one, and nothing else may be due."""
    i: uint32_t
    n: uint32_t = min(tallies.n_put_off, MOST_PUT_OFF)
    for i in range(n):
        if tallies.put_off[i] == at:
            tallies.put_off[i] = tallies.put_off[n - 1]
            tallies.n_put_off = n - 1
            return True
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_off(tallies: cython.pointer(Tallies), at: uint32_t) -> cython.bint:
    """Have the tier asked about a function with others: the first question in a while takes a tenth of a millisecond,
    since no cache holds what Python needs for it, and one behind it a tenth of that. False: so many wait that it is
    asked now."""
    n: uint32_t = tallies.n_put_off
    if n >= MOST_PUT_OFF:
        return False
    tallies.put_off[n] = at
    tallies.n_put_off = n + 1
    return True


def next_put_off(tallies, at_tick):
    """See the header."""
    n: uint32_t = min(tallies.n_put_off, MOST_PUT_OFF)
    if n == 0:
        return NO_FUNC
    tallies.waited += 1
    if at_tick and tallies.waited < PATIENCE:
        return NO_FUNC
    tallies.waited = 0
    tallies.n_put_off = n - 1
    return tallies.put_off[n - 1]


def has_better(tally, address):
    """See the header. Looking for code takes as long as what else is done for a call, and code stays what it is as long
    as its module."""
    if address == tally.plain:
        return False
    rec: cython.pointer(CodeRec) = find_code(cython.cast(uint64_t, address))
    if rec != cython.NULL and rec.level != 0:
        return True
    tally.plain = address
    return False


@cython.cclass
class CodeTable:
    """Where the functions of a module's version begin, by defined index: the slots of all its instances.

    Of a function there is at first a lazy stub and then code, which better code may replace. It reaches a FuncRec when
    somebody calls the stub through it. ``owner`` is the serial of the CodeOwner that holds the code.
    """

    def __cinit__(self, count: uint32_t, owner: uint64_t):
        self.codes = cython.cast(cython.pp_void, calloc(count + 1, cython.sizeof(cython.p_void)))
        if self.codes == cython.NULL:
            raise MemoryError("no memory for a table of code")
        self.count = count
        self.owner = owner

    def __dealloc__(self):
        entry: cython.pointer(OsrEntry)
        while self.entries != cython.NULL:
            entry = cython.cast(cython.pointer(OsrEntry), self.entries)
            self.entries = entry.next
            free(entry)
        free(self.codes)
        free(self.tallies.of)

    def stub_of(self, index):
        """The lazy stub of a function, or NULL where there are none."""
        if self.first_stub == 0:
            return cython.NULL
        return cython.cast(cython.p_void, self.first_stub + index * cython.cast(uint64_t, self.stub_bytes))

    def fill(self, first: uint64_t, stride: uint32_t) -> None:
        """Let functions without code begin at their lazy stub: stub i lies at ``first + i * stride``. The first ones
        stay, whoever else makes some."""
        i: uint32_t
        if self.first_stub:
            return
        self.first_stub = first
        self.stub_bytes = stride
        for i in range(self.count):
            swap_ptr(cython.address(self.codes[i]), cython.NULL, self.stub_of(i))

    @property
    def whole(self) -> bool:
        """Whether each function has code or a lazy stub: instances may have it."""
        i: uint32_t
        lacking: uint32_t = 0
        for i in range(self.count):
            lacking += self.codes[i] == cython.NULL
        return lacking == 0

    def detach(self):
        """An instance calls nothing any more."""
        self.attached -= 1
        if self.attached == 0 and self.watch != cython.NULL:
            or_32(self.watch, 1)
        return 0

    def offer(self, index, seen, code):
        """``publish`` for compiled callers, who need no GIL: whether the code is the function's from now on. A result
        that comes late, or was made for another version, changes nothing."""
        slot: cython.pp_void = cython.address(self.codes[index])
        if swap_ptr(slot, seen, code):
            return True
        return seen == cython.NULL and self.first_stub != 0 and swap_ptr(slot, self.stub_of(index), code)

    def seen(self, index):
        """What a function's slot has, without the GIL: to be shown when code that is made from now on is offered."""
        return load_ptr(cython.address(self.codes[index]))

    def is_still(self, index, seen):
        """Whether code that was begun when its slot had ``seen`` could be the function's."""
        word: cython.p_void = load_ptr(cython.address(self.codes[index]))
        return word == seen or (seen == cython.NULL and word == self.stub_of(index))

    def lacks(self, index):
        """Whether a function has no code yet; without the GIL."""
        word: cython.p_void = load_ptr(cython.address(self.codes[index]))
        return word == cython.NULL or word == self.stub_of(index)

    @property
    def n_compiled(self) -> int:
        """How many functions have code."""
        i: uint32_t
        count: uint32_t = 0
        for i in range(self.count):
            count += load_ptr(cython.address(self.codes[i])) != self.stub_of(i)
        return count

    def slot(self, defined_index: int) -> int:
        """What a function's slot has: to be shown when code that is made from now on is published."""
        return cython.cast(uint64_t, load_ptr(cython.address(self.codes[self.checked(defined_index)])))

    def code(self, defined_index: int) -> int:
        """Where a function's code lies; 0 where it has none."""
        found: object = self.slot(defined_index)
        return 0 if found == cython.cast(uint64_t, self.stub_of(defined_index)) else found

    def publish(self, defined_index: int, seen: int, address: int) -> int:
        """A function has code from now on, if its slot still has what was ``seen`` there when that was begun: one
        compare-and-swap, however many instances there are. Returns what the slot has afterwards.

        What was seen is 0 where nobody had asked for lazy stubs by then; they are no code.
        """
        at: uint32_t = self.checked(defined_index)
        word: cython.p_void = cython.cast(cython.p_void, cython.cast(uint64_t, seen))
        self.offer(at, word, cython.cast(cython.p_void, cython.cast(uint64_t, address)))
        return self.slot(at)

    def add_entry(self, pc: uint64_t, code: uint64_t, frame_bytes: uint32_t, places: bytes) -> bool:
        """The poll that returns to ``pc`` may go on in code that takes a frame of so many bytes, and reads words from
        ``places``, ``OsrPlace`` after ``OsrPlace``; ``code`` 0: it may not, and nobody is asked again. False: it finds
        something else already, which stays."""
        count: uint32_t = cython.cast(uint32_t, len(places) // cython.sizeof(OsrPlace))
        words: cython.p_char = places
        added: cython.int = self.offer_entry(pc, code, frame_bytes, cython.cast(cython.pointer(OsrPlace), words), count)
        if added < 0:
            raise MemoryError("no memory for where the values of a loop are")
        return added != 0

    def entry_at(self, pc):
        """What a poll finds; NULL: nobody was asked about it, or has not answered yet."""
        newest: cython.p_void = load_ptr(cython.address(self.entries))
        return find_entry(cython.cast(cython.pointer(OsrEntry), newest), pc)

    def offer_entry(self, pc, code, frame_bytes, places, n):
        """See the header."""
        size: cython.size_t = n * cython.sizeof(OsrPlace)
        entry: cython.pointer(OsrEntry) = cython.cast(cython.pointer(OsrEntry), malloc(cython.sizeof(OsrEntry) + size))
        if entry == cython.NULL:
            return -1
        entry.pc = pc
        entry.code = code
        entry.frame_bytes = frame_bytes
        entry.polls = 0
        entry.left_ns = 0
        entry.n = n
        entry.places = cython.cast(cython.pointer(OsrPlace), entry + 1)
        if size:
            memcpy(entry.places, places, size)
        if self.link(entry):
            return 1
        free(entry)
        return 0

    @property
    def entries_made(self) -> list[tuple[int, int, int]]:
        """Of each entry, the newest first: where its poll returns to, its code or 0, polls that came while it was
        there."""
        entry: cython.pointer(OsrEntry) = cython.cast(cython.pointer(OsrEntry), self.entries)
        found: list = []
        while entry != cython.NULL:
            found.append((entry.pc, entry.code, entry.polls))
            entry = entry.next
        return found

    @property
    def left_ns(self) -> list[int]:
        """Processor time of the thread that left for an entry first, by then, in nanoseconds: of each that somebody has
        left for, the newest first."""
        entry: cython.pointer(OsrEntry) = cython.cast(cython.pointer(OsrEntry), self.entries)
        found: list = []
        while entry != cython.NULL:
            if entry.left_ns:
                found.append(entry.left_ns)
            entry = entry.next
        return found

    def link(self, entry):
        """Let polls of level 0 find an entry from now on, unless they find another one; the table frees it then. Needs
        no GIL."""
        while True:
            newest: cython.p_void = load_ptr(cython.address(self.entries))
            entry.next = cython.cast(cython.pointer(OsrEntry), newest)
            if find_entry(entry.next, entry.pc) != cython.NULL:
                return False
            if swap_ptr(cython.address(self.entries), newest, entry):
                return True

    def count_calls(self, first: uint32_t, period: uint32_t, ticks: cython.bint, polls: uint32_t = 0) -> None:
        """Functions of level 0 count their calls from now on: at the ``first``-th, the instance's ``lifter`` is asked
        what to do. A call is seen about every ``period`` of them, which is at most ``MOST_PERIOD``; ``ticks``: it is
        asked as well where a tick finds a guest in such a function. ``polls``: a loop in such a function that has
        polled so often goes on in better code; 0: one that a tick finds does."""
        if not 1 <= period <= MOST_PERIOD:
            raise ValueError(f"a period of {period} calls, expected 1 to {MOST_PERIOD}")
        self.tallies.first = first
        self.tallies.period = period
        self.tallies.ticks = ticks
        self.tallies.polls = polls
        self.tallies.of = cython.cast(cython.pointer(Tally), calloc(self.count + 1, cython.sizeof(Tally)))
        if self.tallies.of == cython.NULL:
            raise MemoryError("no memory for counts of calls")

    def be_young(self, ticks: uint32_t, calls: uint32_t) -> None:
        """Ask nobody about what is met by chance, until so many ``ticks`` have found functions of level 0; 0: ask from
        now on. What is called so often is asked about even so."""
        self.tallies.young_ticks = ticks
        self.tallies.young_calls = calls

    def be_patient(self) -> None:
        """Ask some ticks later about a function that was not found by two of them, and about several at once."""
        self.tallies.patient = True

    @property
    def seen_ticks(self) -> int:
        """Ticks that found functions of level 0: of each, as many as there were when they were looked at last."""
        return self.tallies.seen_ticks

    def tally(self, defined_index: int) -> tuple[int, int]:
        """Calls and ticks of a function that were seen."""
        at: uint32_t = self.checked(defined_index)
        if self.tallies.of == cython.NULL:
            return 0, 0
        return self.tallies.of[at].calls, self.tallies.of[at].ticks

    def called(self, least: uint32_t) -> list[tuple[int, int, int]]:
        """Functions with code of level 0 of which at least so many calls were seen, or a tick, and how many of both: by
        defined index."""
        i: uint32_t
        rec: cython.pointer(CodeRec)
        found: list = []
        if self.tallies.of != cython.NULL:
            for i in range(self.count):
                if self.tallies.of[i].calls >= least or self.tallies.of[i].ticks:
                    rec = find_code(cython.cast(uint64_t, load_ptr(cython.address(self.codes[i]))))
                    if rec != cython.NULL and rec.level == 0:
                        found.append((i, self.tallies.of[i].calls, self.tallies.of[i].ticks))
        return found

    def level(self, defined_index: int) -> int:
        """The level of a function's code; -1 where it has none."""
        address: object = self.code(defined_index)
        rec: cython.pointer(CodeRec) = find_code(address) if address else cython.NULL
        return -1 if rec == cython.NULL else rec.level

    def checked(self, index):
        """A defined index that is one."""
        if not 0 <= index < self.count:
            raise IndexError(f"function {index} of {self.count}")
        return index
