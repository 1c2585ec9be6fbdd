"""Shared memories are refused, so that no view of one can race."""

import pytest

from stratavm.base.errors import Unsupported
from stratavm.engine.config import Config
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.memory import Memory

from . import worlds

BINARY = b"\0asm\1\0\0\0\x05\x04\x01\x03\x01\x02"


@pytest.mark.parametrize("source", ["(module (memory 1 2 shared))", BINARY])
def test_a_shared_memory_is_refused_by_name(source):
    """Own or imported, from text or bytes; the error names the proposal."""
    with pytest.raises(Unsupported) as caught:
        Module(source, engine=worlds.engine("jit0"))
    assert caught.value.feature == "threads"


def test_no_option_makes_one():
    """The proposal is not among the features by default, and the host makes memories that are not shared."""
    assert "threads" not in Config().features
    memory = Memory.new(Store(worlds.engine("jit0")), 1, 2)
    assert not memory.type.limits.shared


@pytest.mark.parametrize("limits", ["1 2 shared", "0 0 shared"])
def test_an_import_of_one_is_refused(limits):
    """Before it meets anything that it could be linked with."""
    with pytest.raises(Unsupported):
        Module(f'(module (import "env" "m" (memory {limits})))', engine=worlds.engine("jit0"))
