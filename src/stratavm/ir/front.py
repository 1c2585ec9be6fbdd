"""The port of the front ends: what passes and the compiler ask of a module in whatever guest language."""

from __future__ import annotations

from stratavm.base.forms import Protocol
from stratavm.contract.layout import Shape
from stratavm.ir.ssa import Ssa


class Front(Protocol):
    """One module, as its front end gives it to the compiler. Threads may build at once.

    One that needs no Python to build says so: ``source(ssa)`` makes a ``Source`` of its own (``stage.py``).
    """

    @property
    def shape(self) -> Shape:
        """What instances of the module consist of."""

    @property
    def size(self) -> int:
        """Bytes of the module: no body has more."""

    @property
    def inlines(self) -> bool:
        """Whether its functions may be put in the place of calls: positions of nodes are below ``SITE_FLAG``."""

    @property
    def leaves(self) -> bool:
        """Whether a tail call may end in another instance: then every call gets its own context back."""

    def body_size(self, defined: int) -> int:
        """Bytes of a function's body, by defined index."""

    def build(self, defined: int, ssa: Ssa) -> None:
        """Fill an SSA form with a function, by defined index.

        Raises:
            Unsupported: the compiler does not know something in it.
            ResourceLimit: its SSA form would be out of proportion to its size.
        """
