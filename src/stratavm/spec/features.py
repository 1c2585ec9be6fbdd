"""Proposals: one row each. What a module may use is a set of these."""

from __future__ import annotations

from typing import Final

from stratavm.base.data import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """A proposal: ``since`` is the core version that adopted it; ``ready`` says whether Strata has it."""

    name: str
    since: str
    ready: bool
    doc: str


FEATURES: Final[dict[str, Feature]] = {
    f.name: f
    for f in (
        Feature("mvp", "1.0", True, "the first version"),
        Feature("mutable-globals", "1.1", True, "import and export of mutable globals"),
        Feature("sign-extension", "2.0", True, "i32.extend8_s and its kin"),
        Feature("saturating-float-to-int", "2.0", True, "trunc_sat"),
        Feature("multi-value", "2.0", True, "several results, block parameters"),
        Feature("reference-types", "2.0", True, "funcref, externref, several tables, table.get …"),
        Feature("bulk-memory", "2.0", True, "memory.copy, memory.fill, passive segments"),
        Feature("simd", "2.0", False, "v128"),
        Feature("extended-const", "3.0", True, "add, sub, mul in constant expressions"),
        Feature("tail-call", "3.0", False, "return_call"),
        Feature("function-references", "3.0", False, "typed function references"),
        Feature("gc", "3.0", False, "structs, arrays, i31"),
        Feature("exceptions", "3.0", False, "tags, try_table, throw"),
        Feature("multi-memory", "3.0", False, "several memories"),
        Feature("memory64", "3.0", False, "64-bit addresses"),
        Feature("relaxed-simd", "3.0", False, "implementation-dependent SIMD"),
        Feature("threads", "4.0", False, "shared memory and atomics"),
        Feature("custom-page-sizes", "4.0", False, "pages of one byte"),
        Feature("wide-arithmetic", "4.0", False, "128-bit addition and multiplication"),
        Feature("legacy-exceptions", "never", False, "try, rethrow, delegate: the exceptions that came before 3.0"),
    )
}
READY: Final[frozenset[str]] = frozenset(f.name for f in FEATURES.values() if f.ready)
