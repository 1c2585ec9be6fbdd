"""A function in SSA form as plain Python data: a copy of what ``ssa.pxd`` declares, for tools and tests."""

from __future__ import annotations

from stratavm.base.forms import Final, TypeAlias, dataclass, field

NodeFields: TypeAlias = tuple[int, int, int, int, int, int]
"""op, type, flags, a, b, c."""
BlockFields: TypeAlias = tuple[int, int, int, int, int, int]
"""first, last, params, preds, depth, flags."""


SITE: Final = 0x80000000
"""The bit of a position that is an index of a site (``SITE_FLAG``)."""


@dataclass(slots=True)
class SsaView:
    """The arrays of an ``Ssa``; an index is an index there too."""

    func: int = 0
    type_index: int = 0
    n_params: int = 0
    nodes: list[NodeFields] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[BlockFields] = field(default_factory=list)
    edges: list[tuple[int, int, int]] = field(default_factory=list)
    """target, args, nargs."""
    args: list[int] = field(default_factory=list)
    memargs: list[tuple[int, int, int]] = field(default_factory=list)
    """offset, memory, align."""
    constants: list[int] = field(default_factory=list)
    result_types: list[int] = field(default_factory=list)
    sites: list[tuple[int, int, int]] = field(default_factory=list)
    """func, offset, caller: where inlined nodes are from."""

    def place_of(self, node: int) -> tuple[int, int]:
        """The function that a node comes from, be it inlined or not, and the position in its body."""
        position = self.positions[node]
        return self.sites[position & ~SITE][:2] if position & SITE else (self.func, position)
