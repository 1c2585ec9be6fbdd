"""What the runtime needs from a code generator, as a port: addresses of machine-code stubs. Implemented in
``native``."""

from __future__ import annotations

from _collections_abc import Sequence

from stratavm.base.forms import Protocol, dataclass
from stratavm.spec.types import FuncType


@dataclass(frozen=True, slots=True)
class PythonFacts:
    """What the machine code of a call from Python must know of this interpreter and of the boundary's objects.

    Names that end in ``_at`` are byte offsets in an object or struct, the others addresses; all of them come from the
    C compiler or from the running process, none is written down. ``small_ints`` is the address of the int -5 where the
    small ints lie in a row, ``small_int_bytes`` their distance. ``tagged``: ints carry a tag of sign and length
    (CPython 3.12) instead of a signed length. ``immortal``: small ints and None are not counted (3.12).
    """

    type_at: int
    refcount_at: int
    int_head_at: int
    int_digit_at: int
    float_value_at: int
    int_type: int
    float_type: int
    none: int
    small_ints: int
    small_int_bytes: int
    tagged: bool
    immortal: bool
    from_int: int
    from_float: int
    from_bytes: int
    gate_at: int
    entry_bytes: int
    unbox: int
    call_generic: int
    finish: int
    results: int
    ticker_state: int
    ticks: int
    tls: int
    block_serial_at: int
    block_limit_at: int
    block_activation_at: int
    block_running_at: int
    block_calls_at: int
    block_in_guest_at: int
    block_tstate_at: int
    ring_head_at: int
    ring_tail_at: int
    ring_overflow_at: int


class Stub(Protocol):
    """A piece of machine code, which lives as long as this object."""

    address: int


class Stubs(Protocol):
    """Machine code between the host's and the guest's calling convention.

    *Array entry*: the C function ``u32 entry(FuncRec*, ExecContext*, cells*)``. It saves what C wants saved,
    stores SP to ``exec.activation.entry_sp``, loads r15 and r14, unpacks the cells, calls ``FuncRec.code``,
    packs the results into the cells and returns 0. The activation is pushed and popped by the caller.

    *Trap exit*: entered by a jump with r15 = ExecContext. Loads SP from ``exec.activation.entry_sp`` and
    returns 1 from the array entry that stored it.

    *Host entry*: code of a host function's FuncRec, under the guest convention with r14 = HostFunc. It packs
    the arguments into cells, calls builtin ``host_call(exec, HostFunc*, cells)`` and unpacks the results.

    *Gate*: the one way from guest code to a builtin, with its number in rax and its operands in rdx, rcx, r8 and r9.
    It pushes FP, stores SP to ``exec.activation.exit_sp`` and calls; a status other than 0 goes to ``exec.trap_code``
    and raises a *dynamic* trap there, but for *throw*, with which the guest goes on at ``exec.catch_pc``, with
    ``exec.catch_fp`` as its FP, unless that is 0. The *value gate* does the same without looking at what came back.

    *Fibers*: two gates for stores in which a guest is on a stack of its own (``Activation.fiber``): they call on the
    thread's stack, and where the status is *suspend* they keep what the guest needs in the ``FiberState`` and return
    it to whoever ran the fiber. ``u32 start(FiberState*, ExecContext*, FuncRec*, array entry, cells*, top of the
    stack)`` and ``u32 resume(FiberState*, ExecContext*, status of the builtin)`` run one: they return what the array
    entry returned, or *suspend*.

    *Python entry*: the vectorcall of a public ``Func`` of a guest function with numbers and vectors only. It does
    what unboxing, an outermost entry, the array entry, leaving and boxing do, as long as nothing is unusual; else
    it continues in ``PythonFacts.call_generic``, having done nothing. What ends unusually (a trap, an event) goes
    to ``PythonFacts.finish``.

    *Count stub*: where a prologue goes whose word of counters has run out, with the defined index in r11; saves all
    registers and calls builtin ``count``.

    *New stub*: what machine code calls that makes an object the window has no room for: r11 has the index of its type,
    and in the upper half how many elements it has; then the reference. Saves all registers and calls builtin
    ``object_new``.

    *Note stub*: the slow path of the write barrier (ADR-0077); r11 has the address of the word that is about to change,
    and behind the return address lies that of the object, which goes with it. Saves all registers and calls builtin
    ``note``.

    *Poll stub*: what every poll calls when ``poll_limit`` says so; saves all registers and calls builtin
    ``poll``, with the lowest address that the caller wants to use. If ``exec.osr_code`` is not NULL then, it clears
    that, takes the caller's frame down, and goes on there with ``exec.osr_values`` in rax.
    """

    trap_exit: int
    gate: int
    value_gate: int
    poll_stub: int
    count_stub: int
    note_stub: int
    new_stub: int

    def fibers(self) -> tuple[int, int, int, int]:
        """Addresses of the machine code of fibers: the gate, the gate for values, start, resume."""
        ...

    def array_entry(self, type: FuncType) -> Stub:
        """The array entry for a function type."""
        ...

    def known_entry(self, type: FuncType) -> Stub | None:
        """The array entry for a function type, if there is one already."""
        ...

    def array_entries(self, types: Sequence[FuncType]) -> Sequence[Stub]:
        """Array entries for some function types, in less space than one by one."""
        ...

    def host_entry(self, type: FuncType) -> Stub:
        """The host entry for a function type."""
        ...

    def prepare_hosts(self, types: Sequence[FuncType]) -> Sequence[Stub]:
        """Both entries for the types of a module's host functions, to be kept until they have been asked for.

        Raises:
            ResourceLimit: they are too many.
        """
        ...

    def python_entry(self, type: FuncType, facts: PythonFacts) -> tuple[int, int]:
        """Address of the Python entry for a function type, and where in it the trap exit continues."""
        ...
