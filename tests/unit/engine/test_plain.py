"""An engine's options as plain data, for an engine of another process."""

from __future__ import annotations

import marshal

import pytest

from stratavm import Config, GcConfig, GcConstants, Module
from stratavm.engine.plain import config_of, told_of
from stratavm.module.limits import Limits
from stratavm.runtime.limits import MemorySlots

GIVEN = {
    "tier": "jit1",
    "strict": True,
    "features": Config().features - {"gc"} | {"custom-page-sizes"},
    "limits": Limits(functions=5),
    "memory_plan": "bounded",
    "max_memory_bytes": 1 << 20,
    "allocator": "linear",
    "passes": (),
    "machine_passes": (),
    "calls": "generic",
    "fuel": True,
    "compile_bytes": 1 << 20,
    "threads": 1,
    "memory_images": "never",
    "cpu": "v2",
    "gc": GcConfig(pause_us=100, hard_bytes=1 << 30, constants=GcConstants(factor=2.0)),
}


def carried(config: Config) -> Config:
    """The options as another process has them."""
    return config_of(marshal.loads(marshal.dumps(told_of(config))))


def test_options_arrive_as_they_were():
    """Each of them; none is left out by a list that nobody looks after."""
    config = Config(**GIVEN)
    assert carried(config) == config.having(cache=False)
    elsewhere = {"memory_slots", "load_timeout", "cache", "lift_after", "profile"}
    assert GIVEN.keys() == set(Config.__match_args__) - elsewhere
    assert carried(Config(lift_after=3)) == Config(lift_after=3, cache=False)


def test_a_profile_goes_along():
    """With what it says of each function."""
    module = Module('(module (func (export "f")))')
    assert carried(Config(profile=module.profile())).profile == module.profile()


@pytest.mark.parametrize(("most", "wanted"), [(None, 1 << 22), (1 << 20, 1 << 20), (1 << 24, 1 << 22)])
def test_what_belongs_to_this_process_stays(most, wanted):
    """Slots are its address space, of which the bound of each memory goes along; and nobody reads a journal there."""
    slots, gc = MemorySlots(max_memory_bytes=1 << 22), GcConfig(journal_entries=100)
    found = carried(Config(memory_slots=slots, max_memory_bytes=most, load_timeout=1, gc=gc))
    assert found == Config(max_memory_bytes=wanted, cache=False)
