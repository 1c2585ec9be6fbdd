"""Facts of a validated body for Python: a copy of the C struct ``ValidBody``."""

from __future__ import annotations

from stratavm.base.forms import dataclass


@dataclass(frozen=True, slots=True)
class BodyFacts:
    """What the validating walk learned about one body."""

    func: int
    type_index: int
    start: int
    end: int
    n_params: int
    n_locals: int
    """Parameters included."""
    max_stack: int
    max_depth: int
    loops: tuple[tuple[int, ...], ...]
    """Per loop, in order: the locals assigned inside."""
    calls: bool
    complex: bool
    """The lists of assigned locals outgrew their budget."""
