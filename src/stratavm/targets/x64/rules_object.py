"""Selection rules of objects of guests and of references to them."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final
from stratavm.spec.index import BY_MNEMONIC
from stratavm.targets.x64.rules import Rule


def _rules() -> Iterator[Rule]:
    for mnemonic, row in BY_MNEMONIC.items():
        if row.walk == "object" and not row.fields and not mnemonic.startswith("ref."):
            yield Rule(mnemonic, "object")
    yield Rule("ref.eq", "compare", width=8, cc="e")
    yield Rule("ref.test", "ref_test")
    yield Rule("ref.test_null", "ref_test")
    yield Rule("ref.i31", "ref_i31")
    yield Rule("i31.get_s", "i31_get", extra=1)
    yield Rule("i31.get_u", "i31_get")


RULES: Final = tuple(_rules())
"""The family's rules."""
