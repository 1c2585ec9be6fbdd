"""Limits on what a module may contain, so that hostile input costs bounded memory and time.

The defaults are those of the WebAssembly JavaScript interface (section 9, "Limitations"), which compilers keep to.
"""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import whole

MOST: Final = (1 << 32) - 1
"""What the format counts with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The decoder enforces all but the last three, which are the validator's."""

    _decorate = checks_keywords

    module_bytes: int = 1 << 30
    types: int = 1_000_000
    functions: int = 1_000_000
    imports: int = 1_000_000
    imported_types: int = 4096
    """Types of imported functions that differ. Each takes machine code in the engine; no program has a hundredth."""
    exports: int = 1_000_000
    globals: int = 1_000_000
    tags: int = 1_000_000
    tables: int = 100_000
    memories: int = 100
    elements: int = 10_000_000
    element_items: int = 10_000_000
    datas: int = 100_000
    customs: int = 10_000
    params: int = 1_000
    results: int = 1_000
    struct_fields: int = 10_000
    locals: int = 50_000
    function_bytes: int = 7_654_321
    name_bytes: int = 100_000
    const_expr_bytes: int = 65_536
    subtype_depth: int = 63
    br_table_targets: int = 65_520
    operand_stack: int = 1_000_000

    def __post_init__(self) -> None:
        for name in type(self).__match_args__:
            object.__setattr__(self, name, whole(f"Limits: {name}", getattr(self, name), most=MOST))


DEFAULT_LIMITS: Final = Limits()
