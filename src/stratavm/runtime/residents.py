"""What lives in a store, and how much may: instances, functions, handles of Python objects, bytes, fuel."""

# strata: hot

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.stratavm.contract._gen_layout import ATTENTION_CROWDED, ATTENTION_THROWN, FuncRec
from cython.cimports.stratavm.heap.collect import work_for
from cython.cimports.stratavm.heap.heap import Heap
from cython.cimports.stratavm.heap.pauses import go, stand
from cython.cimports.stratavm.heap.state import AT_ROOTS, BLOCK_SHIFT, NOTES, HeapState
from cython.cimports.stratavm.runtime.greenlets import in_other_greenlet
from cython.cimports.stratavm.runtime.handles import MOST_HANDLES, FuncIndex, Handles, Marks, mark_held
from cython.cimports.stratavm.runtime.kinds import KIND_GUEST_PAUSED, KIND_HANDLES_COLLECTED
from cython.cimports.stratavm.runtime.objects import ObjectRef, Objects, is_reference, new_objects
from cython.cimports.stratavm.runtime.occupancy import PARKED, Occupied, deliver_events, is_closed, mark, stands
from cython.cimports.stratavm.runtime.pot import put_back, refill
from cython.cimports.stratavm.runtime.python import PyList_SetSlice
from cython.cimports.stratavm.runtime.quota import FuelPot, new_quota
from cython.cimports.stratavm.runtime.template import NO_FUEL
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block

from stratavm.base import switches
from stratavm.base.errors import Closed, OutOfFuel, ResourceLimit, StoreBusy
from stratavm.base.importing import begin_import, end_import
from stratavm.base.numbers import seconds as whole_seconds
from stratavm.base.numbers import truth, whole
from stratavm.runtime.limits import MOST_HEAP_BYTES, StoreLimits, name_the_limit, no_room, processors_beside
from stratavm.spec.types import (
    ANY,
    ARRAY,
    ARRAY_ID,
    CONCRETE,
    EQ,
    EXN,
    EXTERN,
    FIRST_RESOLVED,
    I31,
    REF,
    RESOLVED,
    STRUCT,
    UNNAMED,
    abstract_of,
    heap,
    holds_objects,
    kind,
    type_name,
)

let_go = cython.declare(let_go_t)
ONLY_BETWEEN = "garbage of guests is collected between calls only, and a call is inside"
MAX_FUEL = (1 << 63) - 1
LARGEST = 1 << 63
MANY_SHOWN = cython.declare(cython.Py_ssize_t, 1024)  # objects whose raw references a host has seen
LEAST_BESIDE = 2 << 20  # bytes that a full collection looks at for which a thread beside the guest is worth it
FULL_SHARE = 720  # thousandths of the time that full collections may take: as in heap/heap.py
OF_REFERENCE = cython.declare(cython.char, 10)  # the cell width of references that are no functions
LEAST_NS = cython.declare(uint64_t, 20_000)  # for which a collection goes on, if a host asks it to
HANDLE_BYTES = cython.declare(uint64_t, 128)  # what a handle takes of the budget: its places in a list, a dict, a set


@cython.cfunc
@cython.exceptval(check=False)
def frames_lie_aside() -> cython.bint:
    """If a guest of any store waits in another greenlet of this thread: its frames, and what says where they begin,
    are not where collections look."""
    block: cython.pointer(ThreadBlock) = current_block()
    return block != cython.NULL and block.activation != cython.NULL and in_other_greenlet(block)


@cython.cfunc
@cython.exceptval(-1, check=False)
def within(kind: str, now: cython.Py_ssize_t, limit: cython.Py_ssize_t) -> cython.int:
    """ResourceLimit unless there may be one more."""
    if now >= limit:
        more: object = now + 1
        raise ResourceLimit(
            f"the store has {now} {kind}, its limit; StoreLimits({kind}={more}) allows one more",
            limit=kind,
            needed=more,
        )
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def admit(store: Residence, kind: str, now: cython.Py_ssize_t) -> cython.int:
    """Ask whether there may be one more; the numbers are compared behind it, for it may make some itself."""
    if not is_closed(store) and store.template.admit is not None and not store.template.admit(kind, now):
        raise ResourceLimit(f"one more of the {kind} was not admitted; the store has {now}", limit=kind)
    if is_closed(store):
        raise store.why_closed()
    return 0


NO_FUEL_GIVEN: str = "the store was given none; Store(engine, fuel=N) or store.fuel = N gives it some"


def instances_go_by(function):
    """What is called for each instance of a store that closes: the room of instances, which is above, says so when it
    is loaded, and before that there are none."""
    global let_go
    let_go = function


@cython.cclass
class Residence(Occupied):
    """A store as what lives in it sees it."""

    def __cinit__(self):
        self.instances = []

    def begin_residence(self, template):
        """What may live here, from now on."""
        self.template = template
        self.fuel_given = None
        self.quota = new_quota(template.total_bytes, "total_bytes")
        self.memory_quota = new_quota(template.memories_bytes, "memories_bytes")
        return 0

    def let_all_go(self):
        """The store is closed."""
        if self.instances:
            for instance in self.instances:
                let_go(instance)
            PyList_SetSlice(self.instances, 0, len(self.instances), cython.NULL)
        self.hosts = None
        self.index = None
        self.functions = None
        self.handles = None
        if self.objects is not None:
            cython.cast(Objects, self.objects).end()
            self.objects = None
        mark(self.exec, ATTENTION_CROWDED, False)
        self.forget_thrown()
        return 0

    @property
    def runtime(self) -> object:
        """The engine-wide part."""
        if self.template is None:
            raise self.why_closed()
        return self.template.runtime

    @property
    def limits(self) -> StoreLimits:
        """What it may hold."""
        if self.template is None:
            raise self.why_closed()
        return self.template.limits

    @cython.cfunc
    def why_closed(self) -> object:
        """What to raise where the store is closed."""
        if self.template is None:
            return Closed("the store was never initialised: a subclass calls super().__init__()")
        return Closed("the store is closed")

    # ---- fuel ----

    @property
    def fuel(self) -> int | None:
        """What guests may still use; None where the engine does not count fuel (``Config(fuel=True)``).

        Every basic block costs the number of its operators before it runs (``nop block loop else end drop`` are free);
        bulk operations cost one more unit per eight bytes or per table element, ``table.grow`` per new one. The cost
        does not depend on tier or options. Where fuel does not suffice the call ends with ``OutOfFuel``, and what is
        left stays. A new store has none. Host functions may set it, too.

        Raises:
            TypeError: on setting: it is no whole number.
            ValueError: on setting: the engine does not count fuel, or the number is below 0 or beyond 63 bits.
            StoreBusy: on setting: another thread is inside.
        """
        if self.exec.fuel == NO_FUEL or self.fuel_pot is None:
            return None if self.exec.fuel == NO_FUEL else self.exec.fuel
        self.fuel_seen = self.fuel_pot.total(self.exec)
        return self.fuel_seen

    @fuel.setter
    def fuel(self, units: object):
        units = whole("fuel", units, most=MAX_FUEL, unit="units")  # may run anything: nothing is looked at before
        left: uint64_t = units
        self.check_entry()
        if self.exec.fuel == NO_FUEL:
            raise ValueError("this engine does not count fuel: make it with Config(fuel=True)")
        if self.fuel_pot is not None:  # others have used some since it was read: what they have is not given again
            self.fuel_pot.change(self.exec, units - (self.fuel if self.fuel_seen is None else self.fuel_seen))
            self.fuel_seen = None
            return
        self.fuel_given = (self.fuel_given or 0) + units - self.exec.fuel
        self.exec.fuel = left

    def add_fuel(self, units: object) -> None:
        """Give guests more fuel, or take some back with a negative number. Raises as setting ``fuel`` does."""
        more: object = whole("units", units, -LARGEST)
        self.fuel = (self.fuel or 0) + more

    @property
    def fuel_used(self) -> int | None:
        """What guests have used since the store was made; None where the engine does not count fuel. Of a program with
        threads: all of them, and what those have drawn that run."""
        if self.exec.fuel == NO_FUEL:
            return None
        if self.fuel_pot is not None:
            return self.fuel_pot.given - self.fuel_pot.total(self.exec)
        return (self.fuel_given or 0) - self.exec.fuel

    def share_fuel(self, other: Residence) -> None:
        """Draw fuel from where another store draws it, part by part, when the part at hand runs out: the two have its
        fuel. For a store that has none; where there is no pot yet, no other thread may be inside the other one."""
        if other.exec.fuel == NO_FUEL:
            return
        if other.fuel_pot is None:
            other.check_access()
            other.fuel_pot = FuelPot()
            other.fuel_pot.open(other.exec, other.fuel_given or 0)
            other.exec.pot = cython.address(other.fuel_pot.pot)
        self.fuel_pot = other.fuel_pot
        self.exec.pot = other.exec.pot
        self.exec.fuel = 0

    def put_fuel_back(self) -> None:
        """What it has drawn and not used is the others' again. StoreBusy if another thread is inside."""
        self.check_thread()
        put_back(self.exec)

    def out_of_fuel(self, frames: object = ()) -> OutOfFuel:
        """The error of a guest whose fuel is used up; where nobody gave the store any, it says how that is done."""
        has_some: cython.bint = self.fuel_given is not None or self.fuel_pot is not None
        return OutOfFuel(frames, "" if has_some else NO_FUEL_GIVEN)

    def charge(self, units: object) -> None:
        """Take fuel for a guest that runs without machine code. OutOfFuel, and nothing is taken, if less is left."""
        if self.exec.fuel != NO_FUEL:
            while units > self.exec.fuel:
                if not refill(self.exec):
                    raise self.out_of_fuel()
            self.exec.fuel -= cython.cast(uint64_t, units)

    # ---- how much ----

    @property
    def bytes_held(self) -> int:
        """Of ``StoreLimits.total_bytes``: what memories, tables, instances and handles take, and what was charged."""
        if self.quota is None:
            return 0
        if self.objects is not None and self.exec.occupant == 0:  # guests take blocks without the GIL
            self.count_heap(self.objects)
        return self.quota.held

    @property
    def memory_bytes_held(self) -> int:
        """Of ``StoreLimits.memories_bytes``: what all memories have now."""
        return 0 if self.memory_quota is None else self.memory_quota.held

    def charge_bytes(self, count: object, what: str = "a buffer") -> None:
        """Count ``count`` bytes that the host holds on behalf of a guest, before it takes them; ``what`` names them.

        Raises:
            ResourceLimit: the store's limits leave fewer; nothing is counted then.
            TypeError, ValueError: it is no whole number, or a negative one.
            Closed: the store is closed.
        """
        if is_closed(self):
            raise self.why_closed()
        self.quota.charge(count, what)

    def refund_bytes(self, count: object) -> None:
        """Give back what was charged, once it is gone; also where the store is closed by then."""
        if self.quota is not None:
            self.quota.refund(count)

    def share_budget(self, other: Residence) -> None:
        """Count what lives here as if it lived in another store: the two have its budget. For a store in which nothing
        has lived."""
        if is_closed(other):
            raise other.why_closed()
        if self.quota.held or self.memory_quota.held:
            raise StoreBusy("a store that holds something has a budget of its own")
        self.quota = other.quota
        self.memory_quota = other.memory_quota

    def count_instance(self):
        """Room for one more instance."""
        admit(self, "instances", len(self.instances))
        return within("instances", len(self.instances), self.template.max_instances)

    def count_memory(self):
        """One more memory."""
        admit(self, "memories", self.n_memories)
        within("memories", self.n_memories, self.template.max_memories)
        self.n_memories += 1
        self.made_memories += 1
        return 0

    def count_table(self):
        """One more table."""
        admit(self, "tables", self.n_tables)
        within("tables", self.n_tables, self.template.max_tables)
        self.n_tables += 1
        self.made_tables += 1
        return 0

    # ---- functions ----

    def keep(self, host):
        """Keep a host function alive as long as the store: guests hold raw addresses.

        It answers ``records()`` and ``function_of(address)``, as instances do.
        """
        if is_closed(self):
            raise self.why_closed()
        if self.hosts is None:
            self.hosts = []
        self.hosts.append(host)
        return 0

    def keep_type(self, type: int) -> None:
        """Keep what a value type names by canonical id what it is as long as the store: tables and globals rely on it.

        Raises:
            ValueError: it names none that is in use in the engine.
            Closed: the store is closed.
        """
        if type < FIRST_RESOLVED:
            return
        used: object = self.runtime.types.of_value(type)
        if used.ids:
            self.keep(used)

    def forget(self, owner: object) -> None:
        """Keep an instance or a host function no longer to whose functions nothing refers: no guest ever saw it."""
        for kept in (self.instances, self.hosts or []):
            for at in range(len(kept) - 1, -1, -1):
                if kept[at] is owner:
                    del kept[at]
        self.index = None
        self.functions = None

    def owner_of(self, address):
        """The instance or host function whose FuncRec lies at ``address``, or None."""
        return self.whole_index().owner_of(address)

    def whole_index(self):
        """The index of all that lives here by now.

        To make an object may run the collector, and that may add, forget, or close: each step looks again.
        """
        index: FuncIndex
        at: cython.Py_ssize_t
        while not is_closed(self):
            index = self.index
            if index is None:
                index = FuncIndex()
                if self.index is None and not is_closed(self):
                    self.index = index
                    self.n_indexed = self.hosts_indexed = 0
            elif self.n_indexed < len(self.instances):
                at = self.n_indexed
                index.add(self.instances[at])
                if self.index is index and self.n_indexed == at:
                    self.n_indexed += 1
            elif self.hosts is not None and self.hosts_indexed < len(self.hosts):
                at = self.hosts_indexed
                index.add(self.hosts[at])
                if self.index is index and self.hosts_indexed == at:
                    self.hosts_indexed += 1
            else:
                return index
        raise self.why_closed()

    def check_function(self, address: int) -> None:
        """Raise ValueError, or Closed, unless the bits are a funcref of this store: guests would jump through them."""
        if is_closed(self):
            raise self.why_closed()
        if self.functions is not None and address in self.functions:
            return
        if self.owner_of(address) is None:
            raise ValueError(f"{address:#x} is no function reference of this store")

    def check_reference(self, type: int, bits: int) -> None:
        """Raise ValueError, or Closed, unless the bits are a value of a type of function references."""
        if bits == 0:
            if kind(type) == REF:
                raise ValueError(f"0 is no {type_name(type)}")
            return
        if heap(type) < RESOLVED:
            if heap(type) >= CONCRETE:
                raise ValueError(f"{type_name(type)} names a type by its index in a module: nothing is of it here")
            self.check_function(bits)
        elif not self.is_of_type(bits, heap(type) - RESOLVED):
            raise ValueError(f"{bits:#x} is no {type_name(type)}")

    def check_object(self, type: int, bits: int) -> None:
        """Raise ValueError unless the bits are a value of a type of references to objects: guests believe that."""
        nullable: cython.bint = kind(type) != REF
        if not (nullable if bits == 0 else self.is_object(heap(type), bits)):
            raise ValueError(f"{bits:#x} is no {type_name(type)}")

    def is_object(self, wanted: int, bits: int) -> bool:
        """Whether bits that are not 0 are a reference to what is of a heap type.

        Raises:
            ValueError: they are no handle.
            StoreBusy: they may be an object's, and another thread is inside, whose guest uses the heap without the GIL.
        """
        above: object = abstract_of(wanted)
        if bits >> 63:
            return bits >> 31 == 1 << 32 and above in (ANY, EQ, I31, EXTERN)
        if not bits >> 32:
            return self.extern_from_raw(bits) is not None and above in (ANY, EXTERN, EXN)
        objects: Objects = self.objects
        if objects is None:
            return False
        if objects.known_thing(bits) is None:
            objects.check_here()
        type_id: object = objects.admitted(bits)
        if type_id == 0:
            return False
        if wanted >= RESOLVED:
            return self.runtime.types.matches(type_id, wanted - RESOLVED)
        return above in (ANY, EQ, EXTERN) or above == (ARRAY if type_id & ARRAY_ID else STRUCT)

    def show(self, raws, widths):
        """Raw results that a host sees: it has the objects that they refer to from here on, for a while. Where widths
        of their cells are known those of references surely are some; else it is looked for."""
        at: cython.Py_ssize_t
        raw: uint64_t
        objects: Objects = self.objects
        if objects is not None:
            for at in range(len(raws)):
                if raws[at] >> 63:  # no object lies there
                    continue
                raw = raws[at]
                if widths is None or cython.cast(cython.p_char, widths)[at] != OF_REFERENCE:
                    objects.show(raw)
                elif is_reference(raw):
                    objects.shown.append(objects.thing_of(raw))
            if len(objects.shown) > MANY_SHOWN:
                mark(self.exec, ATTENTION_CROWDED, True)
        return raws

    def is_of_type(self, address: uint64_t, type_id: int) -> bool:
        """Whether the function whose FuncRec lies at ``address`` has a type, by canonical id, or one below it. As
        ``check_function`` where there is none."""
        self.check_function(address)
        found: uint64_t = cython.cast(cython.pointer(FuncRec), address).type_id  # at once: the store is surely open
        return self.runtime.types.matches(found, type_id)

    def function_at(self, address: int) -> object:
        """The function whose FuncRec lies at ``address``: a raw funcref of this store; None for 0."""
        if address == 0:
            return None
        functions: dict = self.functions
        found: object = None if functions is None else functions.get(address)
        return self.find_function(address) if found is None else found

    def find_function(self, address):
        """``function_at`` for one that has not been asked for."""
        owner: object = self.owner_of(address)
        if owner is None:
            raise ValueError(f"{address:#x} is no function reference of this store")
        found: object = owner.function_of(address)
        functions: dict = {} if self.functions is None else self.functions
        if is_closed(self):  # meanwhile, by the collector: nothing is kept for a store that is gone
            raise self.why_closed()
        if self.functions is None:
            self.functions = functions
        return self.functions.setdefault(address, found)

    def func_to_raw(self, value: object, nullable: bool = True) -> int:
        """Raw bits of a function of this store; None is 0. The engine's store takes ``Func``."""
        return 0 if value is None else value.raw

    def func_from_raw(self, raw: int) -> object:
        """The function behind raw bits; 0 is None. The engine's store gives ``Func``."""
        return self.function_at(raw)

    # ---- handles ----

    def all_handles(self):
        """The table of handles, made when the first is needed."""
        if self.handles is None:
            made: Handles = Handles()
            if self.template is not None:  # of a store that no initialiser has seen
                aim_at(made, self.template.limits.handles)
            if self.handles is None:  # else the collector ran, and what that ran has made it
                self.handles = made
        return self.handles

    # ---- objects of guests ----

    def all_objects(self):
        """The objects of its guests. Their heap is made when the first of them is."""
        if is_closed(self):
            raise self.why_closed()
        if self.objects is None:
            runtime: object = self.template.runtime
            if runtime.things is not None:
                runtime.things()
            if runtime.descriptors is None:
                raise TypeError("no module of this engine has types of objects")
            heap: Heap = self.new_heap(runtime.descriptors, self.template.gc)
            if is_closed(self):
                raise self.why_closed()
            if self.objects is None:  # as in ``all_handles``
                self.objects = new_objects(heap, self.exec)
                for instance in self.instances:
                    cython.cast(Objects, self.objects).keep(instance.blueprint)
        return self.objects

    def new_heap(self, descriptors, gc):
        """A heap as ``gc`` wants it, a GcConfig."""
        limit: object = min(self.quota.total, MOST_HEAP_BYTES if gc.hard_bytes is None else gc.hard_bytes)
        try:
            heap: Heap = Heap(descriptors, limit)
        except ResourceLimit as error:
            advice: str = "GcConfig(hard_bytes=…) asks for less, and `ulimit -v` allows more"
            raise ResourceLimit(f"{error}; {advice}", limit=name_the_limit()) from None
        if gc.journal_entries:
            heap.watch(gc.journal_entries)
        if self.ring != cython.NULL:
            kinds: tuple = tuple([self.kinds[KIND_GUEST_PAUSED + at] for at in range(NOTES)])
            heap.tell_events(self.source, kinds)
        if not gc.large_pages:
            heap.on_small_pages()
        if gc.generations:
            heap.by_generations(gc.pause_us * 1000)
            heap.grow_within(min(limit, gc.soft_bytes or limit), FULL_SHARE)
            if gc.concurrent:
                least: int = 0 if switches.CHECK.value() >= 2 else LEAST_BESIDE
                heap.mark_beside(processors_beside(), least)
        if gc.constants is not None:
            factor: object = max(int(gc.constants.factor * 1000), 1)
            heap.fix(gc.constants.nursery_bytes, gc.constants.slice_us * 1000, factor)
        return heap

    def new_object(self, type_id, layout, length, step, what):
        """A reference to a new object. ResourceLimit where the store's limits do not allow it."""
        objects: Objects = self.all_objects()
        self.check_thread()  # behind what may run Python: another thread may have come in
        heap: cython.pointer(HeapState) = objects.heap.state
        if heap.used_blocks != heap.counted_blocks:  # guests take some without the GIL: no roots are needed to count
            self.count_heap(objects)
        size: uint64_t = layout.size + cython.cast(uint64_t, layout.element) * length
        if not objects.collect_is_due(size):
            heap.rootless = 1
            found: uint64_t = objects.make(type_id, length, layout, self.spare_bytes())
            if found != 0:
                if heap.used_blocks != heap.counted_blocks:
                    self.count_heap(objects)
                return found
        opened: cython.bint = stand(heap, AT_ROOTS, True)  # the guest waits for what has to be known first
        try:
            heap.rootless = not self.gather_roots(step)
            if is_closed(self):
                raise self.why_closed()
            self.check_thread()
            found = objects.make(type_id, length, layout, self.spare_bytes())
        finally:
            heap.rootless = 1
            if opened:
                go(heap)
        objects.check()
        self.count_heap(objects)
        if found == 0:
            held: tuple = (objects.charged, self.quota.held, self.quota.total)
            raise no_room(called(self, type_id, what), size, held, self.template.limits.heap_bytes, self.template.gc)
        return found

    def spare_bytes(self):
        """What the store's limits leave to its heap."""
        spare: uint64_t = self.quota.total - min(self.quota.held, self.quota.total)
        hard: object = self.template.gc.hard_bytes
        if hard is None:
            return spare
        charged: object = cython.cast(Objects, self.objects).charged
        return min(cython.cast(object, spare), max(hard - charged, 0))

    def check_greenlet(self) -> None:
        """For what a host does that may collect: StoreBusy if a guest waits in another greenlet of this thread, for its
        frames are not where collections look."""
        if self.exec.occupant != 0 and frames_lie_aside():
            raise StoreBusy("a guest waits in another greenlet of this thread")

    def count_heap(self, known):
        """The store's budget has what the blocks of a heap take."""
        objects: Objects = known
        used: uint64_t = cython.cast(uint64_t, objects.heap.state.used_blocks) << BLOCK_SHIFT
        if used > objects.charged:
            self.quota.held += used - objects.charged
        else:
            self.quota.give_back(objects.charged - used)
        objects.charged = used
        objects.heap.state.counted_blocks = objects.heap.state.used_blocks
        return 0

    def gather_roots(self, step):
        """Have what a collection needs that nothing of Python's may run in; false: not all of it is known. In a
        ``step`` of a guest without machine code, the innermost, its frames hold all that it has."""
        if frames_lie_aside():
            return False
        objects: Objects = self.objects
        occupant: uint64_t = self.exec.occupant
        entries: uint64_t = self.entries
        handles: Handles = self.all_handles()
        added: uint64_t = handles.added
        at: cython.Py_ssize_t
        places: list = []
        objects.gathers += 1
        mine: uint64_t = objects.gathers
        objects.n_words = 0
        for run in tuple(handles.runs):
            if not run.waits and not (step and run is handles.runs[len(handles.runs) - 1]):
                return False
            raws: object = run.held_handles()
            if raws is None:
                return False
            objects.take_words(raws)
        for fiber in [] if self.under is None else list(self.under):
            places.extend(fiber.frames())
        if self.parked is not None:
            places.extend(self.parked.frames())
        if objects.known != handles.added:
            objects.list_holders(handles.root_references())
            objects.known, objects.listed_anew = added, True
        if self.entries != entries or handles.added != added or is_closed(self):
            return False
        if self.exec.occupant != occupant or objects.gathers != mine:  # another thread, or what ran gathers too
            return False
        for at in range(0, len(places), 2):
            objects.add_words(places[at], places[at + 1])
        return True

    def know_roots(self):
        """``gather_roots`` between calls. StoreBusy: not all is known that somebody holds."""
        if not self.gather_roots(False):
            if is_closed(self):
                raise self.why_closed()
            if frames_lie_aside():
                raise StoreBusy("a guest waits in another greenlet of this thread")
            raise StoreBusy("a guest that runs without machine code is in the midst of a step")
        cython.cast(Objects, self.objects).heap.state.rootless = 0
        return 0

    def mark_of_objects(self, step, marks):
        """Mark the handles that guests' objects hold, where nothing is marked yet; false: not all is known that
        somebody holds. As in ``gather_roots``. To know them takes a full collection in one pause, but not where no
        type of the engine has a place for one."""
        objects: Objects = self.objects
        if objects is None or not self.template.runtime.keeping:
            return True
        if not self.gather_roots(step):
            return False
        objects.mark_handles(marks)
        objects.check()
        if not is_closed(self):
            self.count_heap(objects)
        return True

    def check_word(self, type: int, bits: int) -> None:
        """Raise ValueError unless the bits may be a value of a type of references to what is no function: an object
        that they refer to must be there."""
        if bits >> 32 or holds_objects(type):
            self.check_object(type, bits)

    def extern_to_raw(self, value: object) -> int:
        """A handle for any object, the reference of a guest's object; None is 0."""
        thing: ObjectRef
        if value is None:
            return 0
        if isinstance(value, ObjectRef):
            if is_closed(self):
                raise self.why_closed()
            thing = value
            if thing.home is None or thing.home is not self.objects:
                raise TypeError(f"{value!r} belongs to another store")
            return thing.address
        if type(value) is not int and isinstance(value, int):  # few are
            begin_import()
            try:
                from stratavm.runtime.i31 import I31 as Number
            finally:
                end_import()
            if type(value) is Number:
                return value.raw
        return self.number_of(value, False)

    def number_of(self, thing, exception):
        """The handle of an object, or the exnref of an exception."""
        handles: Handles = self.all_handles()
        if is_closed(self):
            raise self.why_closed()
        used: cython.Py_ssize_t = handles.used
        limit: object = self.template.limits.handles
        if not handles.free and len(handles.things) >= limit and id(thing) not in handles.numbers:
            mark(self.exec, ATTENTION_CROWDED, True)  # it is refused: they are looked for when the call ends
        found: object = handles.handle_of_exception(thing, limit) if exception else handles.handle(thing, limit)
        if handles.used > used and not self.quota.claim(HANDLE_BYTES):
            handles.drop(found)
            mark(self.exec, ATTENTION_CROWDED, True)
            self.quota.check(HANDLE_BYTES, "a handle of a Python object")
        if handles.crowded():
            mark(self.exec, ATTENTION_CROWDED, True)
        return found

    def free_handles(self, error, pins):
        """Let go of what no guest holds, where ``error`` says that a handle more is beyond a limit: what was converted
        is to be converted again, once. Raises the error where nothing goes. The caller has pinned the store so many
        times, and has no handle any more that lies nowhere else: inside of a call, or where others have some, nothing
        is let go.
        """
        if error.limit not in ("handles", "total_bytes") or self.exec.occupant != 0 or self.pinned != pins:
            raise error
        self.pinned = 0
        try:
            collect_objects(self)
            gone: object = self.collect_handles()
            gone += self.collect_handles()  # what the first one saw that nobody holds
        finally:
            self.pinned += pins
        if not gone:
            raise error
        return 0

    def extern_from_raw(self, raw: int) -> object:
        """The object behind a handle or a reference; 0 is None. ValueError: there is none. Closed: the store is, so
        that there was one."""
        if raw and is_closed(self):
            raise self.why_closed()
        if raw >> 32 and raw >> 31 != 1 << 32:
            if raw >> 63 or self.objects is None:
                raise ValueError(f"{raw:#x} is no externref of this store")
            return cython.cast(Objects, self.objects).thing_at(raw)
        return self.thing_of(raw)

    def thing_of(self, raw):
        """``extern_from_raw`` for what is surely a reference and was read just now: nobody collects between."""
        if is_reference(raw):
            return cython.cast(Objects, self.objects).thing_of(raw)
        if raw >> 63:
            begin_import()
            try:
                from stratavm.runtime.i31 import i31_of
            finally:
                end_import()
            return i31_of(raw)
        return self.all_handles().thing(raw) if raw else None

    def add_root(self, holder: object, exceptions: bool = False) -> None:
        """A table or global that may hold handles: anything with ``held_handles()``. And whether those are exnrefs."""
        self.all_handles().add_root(holder, exceptions)

    def gc(self) -> int:
        """Find all garbage among the objects of guests, in one pause, and let go of Python objects that no guest holds
        any more; returns how many. Where there are some it takes two pauses: others may go with them.

        Raises:
            StoreBusy: a call is inside, or a guest without machine code waits in the midst of a step.
            Closed: the store is closed.
        """
        check_between(self)
        if self.objects is not None:
            self.know_roots()  # StoreBusy where they cannot be known
            cython.cast(Objects, self.objects).heap.state.rootless = 1
            collect_objects(self)
        gone: object = self.collect_handles()
        if gone or self.all_handles().n_suspects:
            gone += self.collect_handles()
            collect_objects(self)  # what Python objects had that are gone
        elif self.objects is not None:
            cython.cast(Objects, self.objects).forget_shown()
        deliver_events(self)
        return gone

    def gc_for_at_most(self, seconds: object, *, begin: object = False) -> bool:
        """Collect the objects of guests for about so long: go on with the full collection that is under way, or begin
        one, with a look at new objects. Whether something is left to do. For moments in which the store has nothing
        else to do::

            while store.gc_for_at_most(0.001): ...  # between other work

        Args:
            seconds: how long; 0 and less is a time that is over: as little is done as can be, but something. Without
                ``GcConfig(generations=True)`` it is a full collection, as long as that takes.
            begin: begin one even if nothing was made since the last one has ended, and all that can be garbage is what
                was dropped since: nobody else notices that. Where one is under way, another one follows it.

        Raises:
            TypeError, ValueError: it is no number of seconds, or nan; ``begin`` is not True or False.
            StoreBusy: a call is inside, or a guest without machine code waits in the midst of a step.
            Closed: the store is closed.
        """
        budget: uint64_t = max(int(whole_seconds("seconds", seconds) * 1e9), 1)
        anew: cython.bint = truth("begin", begin)
        check_between(self)
        objects: Objects = self.objects
        if objects is None:
            return False
        self.know_roots()
        objects.heap.anew |= anew
        if objects.heap.state.marking:  # who asks again and again comes to an end
            budget = max(budget, LEAST_NS)
        elif objects.heap.anew:
            objects.heap.anew = False
            objects.heap.state.grown = max(objects.heap.state.grown, 1)  # else a look has nothing to look for
        left: cython.bint = work_for(objects.heap.state, budget)
        objects.heap.state.rootless = 1
        objects.check()
        self.count_heap(objects)
        deliver_events(self)
        return left or objects.heap.anew

    def gc_metrics(self) -> object:
        """What the heap of its guests' objects has and has done (``GcMetrics``); None: it has none yet. From any
        thread, also while another one is inside. Closed: the store is closed."""
        if is_closed(self):
            raise self.why_closed()
        return None if self.objects is None else cython.cast(Objects, self.objects).heap.metrics()

    def gc_journal(self) -> list[tuple[int, ...]]:
        """The pauses and decisions of the heap since this was asked last, as far as ``GcConfig(journal_entries=…)``
        keeps them: (kind, nanoseconds of the monotonic clock, values…). ``stratavm.heap.report`` makes text and a page
        of them.

        Raises:
            ValueError: no journal is kept.
            StoreBusy: another thread is inside.
            Closed: the store is closed.
        """
        self.check_entry()
        if not self.template.gc.journal_entries:
            raise ValueError("no journal is kept: make the engine with gc=GcConfig(journal_entries=N)")
        return [] if self.objects is None else cython.cast(Objects, self.objects).heap.read_journal()

    @cython.cfunc
    @cython.exceptval(check=False)
    def settle(self) -> cython.void:
        """Let go of what was thrown, and collect handles where there are many, if nobody is inside."""
        if self.exec.occupant == 0 and stands(self.exec, ATTENTION_THROWN):
            self.forget_thrown()
        if self.exec.occupant == 0 and self.pinned == 0 and stands(self.exec, ATTENTION_CROWDED):
            if self.quota is None:  # the store is closed
                return
            try:  # noqa: SIM105 - a context manager takes memory
                collect_some(self)
            except MemoryError:  # they go at the end of another call
                pass

    def forget_thrown(self):
        """Let go of what was thrown last, and of what guests dropped: that may run anything."""
        kept: tuple = (self.thrown, self.thrown_error, self.spent)
        self.thrown = self.thrown_error = self.spent = None
        self.exec.thrown_tag = cython.NULL
        self.exec.thrown = cython.NULL
        mark(self.exec, ATTENTION_THROWN, False)
        del kept
        return 0

    def collect_handles(self):
        """Free the handles that no root held at the last collection either; guest frames hold none between calls."""
        gone: object = 0
        if self.all_handles().n_gone:  # what one has left
            gone = collect_within(self, MOST_HANDLES)
        return gone + collect_within(self, MOST_HANDLES)


@cython.cfunc
@cython.exceptval(-1)
def collect_some(store: Residence) -> cython.int:
    """What is to go of them at the end of a call."""
    handles: Handles = store.all_handles()
    left: object = (store.quota.total - min(store.quota.held, store.quota.total)) // HANDLE_BYTES
    most: cython.Py_ssize_t = handles.portion(min(store.template.limits.handles, handles.used + left))
    left_over: cython.bint = handles.n_gone != 0
    collect_within(store, most)
    if left_over and most == MOST_HANDLES and handles.crowded():  # nobody has looked at the end of this call
        collect_within(store, most)
    return 0


@cython.cfunc
def collect_within(store: Residence, most: cython.Py_ssize_t) -> object:
    """Free so many of the handles that nobody holds, of those that a collection has left, or after one that sees which
    these are; how many went. To see that takes a fraction of the time that it takes to free them."""
    if store.quota is None:
        raise store.why_closed()
    handles: Handles = store.all_handles()
    if store.exec.occupant != 0 or store.pinned:  # by now
        return 0
    # Of no thread: a guest that ran meanwhile might hide a handle where it was looked for.
    store.exec.occupant = PARKED
    dropped: list = []
    looks: cython.bint = handles.n_gone == 0
    try:
        if looks:
            marks: Marks = Marks(len(handles.things))
            if store.mark_of_objects(False, marks):
                mark_held(marks, handles.roots)
                handles.judge(marks)
        dropped = handles.free_gone(most)
    finally:
        store.exec.occupant = 0
    if store.objects is not None:
        if looks:
            cython.cast(Objects, store.objects).forget_shown()
        more: cython.Py_ssize_t = min(store.objects.worth_in_handles, store.template.limits.handles // 2)
        handles.collect_at = max(handles.collect_at, handles.used + more)
    aim_at(handles, store.template.limits.handles)
    gone: object = len(dropped)
    store.quota.give_back(HANDLE_BYTES * len(dropped))
    mark(store.exec, ATTENTION_CROWDED, handles.crowded())
    store.note(KIND_HANDLES_COLLECTED, gone, 0, 0)
    dropped.clear()  # finalisers run last, when the tables are consistent again
    return gone


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_between(store: Residence) -> cython.int:
    """Raise unless this thread may collect, and no call is inside."""
    if is_closed(store):
        raise store.why_closed()
    if store.exec.occupant != 0 or store.pinned:
        raise StoreBusy(ONLY_BETWEEN)
    return store.check_entry()


@cython.cfunc
@cython.exceptval(-1)
def collect_objects(store: Residence) -> cython.int:
    """Find all garbage among the objects, between calls, where ``collect_handles`` does not."""
    objects: Objects = store.objects
    if objects is None or store.template.runtime.keeping or not store.gather_roots(False):
        return 0
    objects.collect()
    objects.check()
    if not is_closed(store):
        store.count_heap(objects)
    return 0


@cython.cfunc
def called(store: Residence, type_id: uint32_t, what: str) -> str:
    """What messages call an object of a type: ``a struct $node``, or only that it is one."""
    begin_import()
    try:
        from stratavm.runtime import typenames
    finally:
        end_import()
    name: str = typenames.named(f"{UNNAMED}{type_id}", store, None)
    return f"{what} {name}" if name.startswith("$") else what


@cython.cfunc
@cython.exceptval(-1, check=False)
def aim_at(handles: Handles, limit: object) -> cython.int:
    """Look for handles again before a quarter of the limit was taken, or half of what is left of it."""
    left: object = max(limit - handles.used, 0)
    handles.collect_at = min(handles.collect_at, handles.used + min(limit // 4, left // 2))
    return 0
