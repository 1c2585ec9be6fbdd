"""What the runtime needs from a code generator, as a port: addresses of machine-code stubs. Implemented in
``codegen``."""

from __future__ import annotations

from typing import Protocol

from stratavm.spec.types import FuncType


class Stubs(Protocol):
    """Machine code between the host's and the guest's calling convention. Stubs live as long as this object.

    *Array entry*: the C function ``u32 entry(FuncRec*, ExecContext*, cells*)``. It saves what C wants saved,
    stores SP to ``exec.activation.entry_sp``, loads r15 and r14, unpacks the cells, calls ``FuncRec.code``,
    packs the results into the cells and returns 0. The activation is pushed and popped by the caller.

    *Trap exit*: entered by a jump with r15 = ExecContext. Loads SP from ``exec.activation.entry_sp`` and
    returns 1 from the array entry that stored it.

    *Host entry*: code of a host function's FuncRec, under the guest convention with r14 = HostFunc. It packs
    the arguments into cells, stores SP and FP to the ExecContext, calls builtin ``host_call(exec, HostFunc*,
    cells)`` and unpacks the results; a status other than 0 goes to ``exec.trap_code`` and raises a *dynamic* trap.

    *Poll stub*: what every poll calls when ``poll_limit`` says so; saves all registers and calls builtin
    ``poll``, with the lowest address that the caller wants to use as ``saved_sp``.
    """

    trap_exit: int
    poll_stub: int

    def array_entry(self, type: FuncType) -> int:
        """Address of the array entry for a function type."""
        ...

    def host_entry(self, type: FuncType) -> int:
        """Address of the host entry for a function type."""
        ...
