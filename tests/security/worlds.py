"""The configurations that must agree, and modules in them."""

import pytest

from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store

CONFIGS = {
    "jit0": Config(strict=True),
    "naive": Config(allocator="naive", strict=True),
    "bounded": Config(memory_plan="bounded", strict=True),
    "jit1": Config(tier="jit1", strict=True),
    "jit1-bounded": Config(tier="jit1", memory_plan="bounded", strict=True),
    "oracle": Config(tier="oracle"),
}
NATIVE = [name for name in CONFIGS if name != "oracle"]
_engines = {}

every_config = pytest.mark.parametrize("config", CONFIGS)
every_native = pytest.mark.parametrize("config", NATIVE)


def engine(config):
    """An engine, shared by all tests."""
    if config not in _engines:
        _engines[config] = Engine(CONFIGS[config])
    return _engines[config]


def instance(text, config="jit0", imports=None, store=None):
    """An instance of a text module or of bytes."""
    linker = Linker(engine(config))
    linker.define_namespaces({} if imports is None else imports)
    return linker.instantiate(store or Store(engine(config)), Module(text, engine(config)))
