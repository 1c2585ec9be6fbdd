"""Fixtures of code generation's tests."""

import pytest

from tests.unit.targets.x64.jit import VARIANTS


@pytest.fixture(params=VARIANTS, ids=lambda v: v.name)
def jit(request, monkeypatch):
    """``jit(source, imports)`` loads a module strictly on the jit, in each variant."""
    return request.param.activate(monkeypatch)
