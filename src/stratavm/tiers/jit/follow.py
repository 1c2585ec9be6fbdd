"""What becomes of a module's machine code when a next version of it follows: what did not change is copied."""

from __future__ import annotations

from _collections_abc import Container, Sequence

from stratavm.base.forms import TYPE_CHECKING
from stratavm.native.codeimage import pack, with_more

if TYPE_CHECKING:
    from stratavm.tiers.jit.tier import JitModule


def follow(module: JitModule, old: JitModule, changed: Container[int], again: Sequence[int]) -> None:
    """``TierModule.follow``.

    Code of both levels is taken over as it is. What had code and is compiled again has it at level 0 before this
    returns, or at the level of a tier that has but one; functions that were at level 1 are expected to be hot.
    """
    lazy, before = module.lazy, old.lazy
    module.is_foreign |= old.is_foreign
    before.note_published()
    had = {f: before.table.level(f - before.first) for f in again if f < old.behind}
    left_out = {f for f in range(before.first, old.behind) if f in changed} | before.fallbacks.keys()
    data = bytes(pack(before.owner, before.table, before.first, left_out))
    if module.behind != old.behind:
        data = with_more(data, lazy.table.count)
    module.restore_code(data, origin="update")
    module.expect([f for f, level in had.items() if level == 1 and lazy.tier is not None])
    module.compile_all(1, [f - lazy.first for f, level in had.items() if level >= 0])
