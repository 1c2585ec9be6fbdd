"""The port of the front ends: what passes and the compiler ask of a module in whatever guest language."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Protocol

from stratavm.ir.ssa import Ssa
from stratavm.spec.types import GlobalType, MemoryType, SubType, TableType


class Shape(Protocol):
    """What instances of a module consist of, imports first: of this the layout of their contexts and the plan of a
    target are made. A decoded WebAssembly module is one.
    """

    @property
    def types(self) -> Sequence[SubType]:
        """Types by index."""

    @property
    def func_type_indices(self) -> Sequence[int]:
        """The type of every function, as an index into ``types``."""

    @property
    def imported_funcs(self) -> Sized:
        """As long as there are functions without a body, which have the first indices."""

    @property
    def global_types(self) -> Sequence[GlobalType]:
        """The type of every global."""

    @property
    def globals(self) -> Sized:
        """As long as there are globals that are not imported."""

    @property
    def memory_types(self) -> Sequence[MemoryType]:
        """The type of every memory."""

    @property
    def table_types(self) -> Sequence[TableType]:
        """The type of every table."""


class Front(Protocol):
    """One module, as its front end gives it to the compiler. Threads may build at once."""

    @property
    def shape(self) -> Shape:
        """What instances of the module consist of."""

    @property
    def size(self) -> int:
        """Bytes of the module: no body has more."""

    @property
    def inlines(self) -> bool:
        """Whether its functions may be put in the place of calls: positions of nodes are below ``SITE_FLAG``."""

    def body_size(self, defined: int) -> int:
        """Bytes of a function's body, by defined index."""

    def build(self, defined: int, ssa: Ssa) -> None:
        """Fill an SSA form with a function, by defined index.

        Raises:
            Unsupported: the compiler does not know something in it.
            ResourceLimit: its SSA form would be out of proportion to its size.
        """
