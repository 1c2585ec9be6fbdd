"""Pages that name tests name tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", ["docs/ideas/boundary-tests.md", "docs/ideas/invariants.md", "docs/ideas/waiting.md"])
def test_every_named_test_exists(page):
    """As a function of the module named."""
    named = NAMED.findall((ROOT / page).read_text())
    assert named
    for module, function in named:
        tree = ast.parse((ROOT / module).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (module, function)
