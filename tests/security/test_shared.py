"""Who leaves the proposal out has no shared memory: none that a guest could make, or measure time with."""

import pytest

from stratavm.base.errors import Unsupported, ValidationError
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.module.features import DEFAULT
from stratavm.runtime.memory import Memory

BINARY = b"\0asm\1\0\0\0\x05\x04\x01\x03\x01\x02"


@pytest.fixture(scope="module")
def without():
    """An engine without threads."""
    return Engine(Config(tier="jit0", strict=True, features=DEFAULT - {"threads"}))


@pytest.mark.parametrize("source", ["(module (memory 1 2 shared))", BINARY])
def test_a_shared_memory_is_refused_by_name(without, source):
    """Own or imported, from text or bytes; the error names the proposal."""
    with pytest.raises((Unsupported, ValidationError), match="needs the proposal threads"):
        Module(source, engine=without)


def test_no_option_makes_one(without):
    """The host makes memories that are not shared."""
    memory = Memory.new(Store(without), 1, 2)
    assert not memory.type.limits.shared


@pytest.mark.parametrize("limits", ["1 2 shared", "0 0 shared"])
def test_an_import_of_one_is_refused(without, limits):
    """Before it meets anything that it could be linked with."""
    with pytest.raises((Unsupported, ValidationError), match="needs the proposal threads"):
        Module(f'(module (import "env" "m" (memory {limits})))', engine=without)
