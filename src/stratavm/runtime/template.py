"""What the stores of an engine with the same limits have in common: worked out once, copied into each."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.stratavm.contract._gen_layout import MAX_BUILTINS
from cython.cimports.stratavm.runtime.kinds import (
    KIND_DEADLINE_SET,
    KIND_GROWTH_ALLOWED,
    KIND_GUEST_PAUSED,
    KIND_HANDLES_COLLECTED,
    KIND_INSTANCE_POISONED,
    KIND_INTERRUPT_REQUESTED,
    KIND_MARKER_TIMED,
    KIND_MEMORY_CREATED,
    KIND_MEMORY_GROWN,
    KIND_MEMORY_REFUSED,
    KIND_NURSERY_KEPT,
    KIND_NURSERY_SIZED,
    KIND_SLICES_SPACED,
    KIND_STORE_CLOSED,
    KIND_TABLE_CREATED,
    KIND_TABLE_GROWN,
    KIND_TABLE_REFUSED,
)

from stratavm.runtime import events
from stratavm.runtime.limits import GcConfig, StoreLimits, within

NO_FUEL = 0xFFFFFFFFFFFFFFFF
MOST_ELEMENTS = cython.declare(uint64_t, (1 << 32) - 1)  # of a table: what the format allows


@cython.cfunc
@cython.exceptval(check=False)
def as_count(number: object) -> cython.Py_ssize_t:
    """A limit as a native number: what is larger than one is no limit."""
    return max(0, min(number, 1 << 62))


@cython.cclass
class StoreTemplate:
    """What the stores of an engine with the same limits have in common, as native numbers: made once.

    ``runtime`` is the engine-wide part (types and stubs), ``fuel`` whether it is counted,
    ``memory_plan`` the plan of memories that the host makes, ``gc`` how objects of guests are collected.
    """

    def __cinit__(
        self,
        runtime: object,
        limits: object = None,
        fuel: cython.bint = False,
        memory_plan: str = "guard",
        gc: object = None,
    ):
        i: cython.int
        self.runtime = runtime
        self.memory_plan = memory_plan
        self.limits = StoreLimits() if limits is None else limits
        self.admit = self.limits.admit
        self.gc = within(GcConfig() if gc is None else gc, self.limits.heap_bytes)
        self.max_instances = as_count(self.limits.instances)
        self.max_memories = as_count(self.limits.memories)
        self.max_tables = as_count(self.limits.tables)
        self.memory_bytes = as_count(self.limits.memory_bytes)
        self.table_elements = min(as_count(self.limits.table_elements), MOST_ELEMENTS)
        self.memories_bytes = as_count(self.limits.memories_budget_bytes)
        self.total_bytes = as_count(self.limits.budget_bytes)
        self.bounded_reservation = as_count(self.limits.bounded_reservation)
        self.stack_bytes = as_count(self.limits.stack_bytes or 0)
        self.exec.fuel = 0 if fuel else NO_FUEL
        for i in range(MAX_BUILTINS):
            self.exec.builtins[i] = builtin_table[i]
        if runtime is None:
            return
        self.allocator = runtime.allocator
        self.stubs = runtime.stubs
        self.bus = runtime.bus
        self.number_kinds()
        self.memory_written = self.bus.channel_of(events.MemoryWritten)
        self.exec.ring = self.bus.ring
        stubs: object = runtime.stubs
        if stubs is not None:
            self.exec.trap_exit = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.trap_exit))
            self.exec.poll_stub = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.poll_stub))
            self.exec.count_stub = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.count_stub))
            self.exec.new_stub = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.new_stub))
            self.exec.note_stub = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.note_stub))
            self.exec.gate = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.gate))
            self.exec.value_gate = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.value_gate))

    def prepare_fibers(self):
        """Look up the machine code of fibers."""
        gate, value_gate, start, resume = self.stubs.fibers()
        self.fiber_value_gate = cython.cast(cython.p_void, cython.cast(uint64_t, value_gate))
        self.fiber_start = cython.cast(cython.p_void, cython.cast(uint64_t, start))
        self.fiber_resume = cython.cast(cython.p_void, cython.cast(uint64_t, resume))
        self.fiber_gate = cython.cast(cython.p_void, cython.cast(uint64_t, gate))
        return 0

    def number_kinds(self):
        """Ask the bus for the number of each event that stores record; it may have numbered others before."""
        self.kinds[KIND_MEMORY_CREATED] = self.bus.kind(events.MemoryCreated)
        self.kinds[KIND_MEMORY_GROWN] = self.bus.kind(events.MemoryGrown)
        self.kinds[KIND_MEMORY_REFUSED] = self.bus.kind(events.MemoryGrowthRefused)
        self.kinds[KIND_TABLE_CREATED] = self.bus.kind(events.TableCreated)
        self.kinds[KIND_TABLE_GROWN] = self.bus.kind(events.TableGrown)
        self.kinds[KIND_TABLE_REFUSED] = self.bus.kind(events.TableGrowthRefused)
        self.kinds[KIND_INSTANCE_POISONED] = self.bus.kind(events.InstancePoisoned)
        self.kinds[KIND_HANDLES_COLLECTED] = self.bus.kind(events.HandlesCollected)
        self.kinds[KIND_INTERRUPT_REQUESTED] = self.bus.kind(events.InterruptRequested)
        self.kinds[KIND_DEADLINE_SET] = self.bus.kind(events.DeadlineSet)
        self.kinds[KIND_STORE_CLOSED] = self.bus.kind(events.StoreClosed)
        self.kinds[KIND_GUEST_PAUSED] = self.bus.kind(events.GuestPaused)
        self.kinds[KIND_NURSERY_SIZED] = self.bus.kind(events.NurserySized)
        self.kinds[KIND_GROWTH_ALLOWED] = self.bus.kind(events.GrowthAllowed)
        self.kinds[KIND_SLICES_SPACED] = self.bus.kind(events.SlicesSpaced)
        self.kinds[KIND_NURSERY_KEPT] = self.bus.kind(events.NurseryKept)
        self.kinds[KIND_MARKER_TIMED] = self.bus.kind(events.MarkerTimed)
        return None
