"""``strata rules``: the rewrite rules of the optimiser by name, what each says, and which test proves it."""

from __future__ import annotations

import argparse

from stratavm.base.forms import Final
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.ir.passes._gen_rule_names import RULES

EXAMPLES: Final = """strata rules
strata rules --json
strata dump --stage opt --explain -f main app.wasm    which of them applied where"""
PROOF: Final = "tests/unit/ir/test_rules.py::test_rule[{}]"
"""The test that proves a rule, or tests it where a proof is out of reach."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    if options.json:
        rows = [
            {"name": name, "says": says, "module": f"stratavm.ir.passes.{module}", "proof": PROOF.format(name)}
            for name, (_, module, says) in RULES.items()
        ]
        output.emit({"rules": rows})
        return 0
    width = max(map(len, RULES))
    for name, (_, _, says) in RULES.items():
        output.text(f"{name:{width}}  {says}\n")
    output.text(f"{len(RULES)} rules, each proved by {PROOF.format('NAME')}\n")
    return 0
