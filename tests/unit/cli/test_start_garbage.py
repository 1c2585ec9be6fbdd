"""What an import of ours leaves of Python's garbage collector: as it was, and nothing for it to look through."""

import subprocess
import sys

import pytest

COUNTED = """
import gc
{before}
def seen(phase, info):
    if phase == "start":
        collections.append(info["generation"])
collections = []
class Loop:
    pass
loop = Loop()
loop.loop = loop
import weakref
gone = weakref.ref(loop)
del loop
gc.callbacks.append(seen)
import stratavm
for name in ("Engine", "Module", "Store", "Linker", "Pool", "run"):
    getattr(stratavm, name)
print(gc.isenabled(), gc.get_freeze_count(), len(collections), sum(g > 0 for g in collections))
gc.enable()
gc.collect()
print(gone() is None)
"""


def told(before="", after=""):
    """What a process says of its collector."""
    code = COUNTED.format(before=before) + after
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="module")
def own():
    """How many objects Python itself has frozen when a process begins: none, but for some hundred of version 3.12."""
    code = "import gc; print(gc.get_freeze_count())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_imports_are_not_looked_through(own):
    """Some two hundred modules, and hardly a collection; garbage from before is found by the next whole one."""
    enabled, frozen, collections, old, found = told()
    assert (enabled, frozen, found) == ("True", own, "True")
    assert int(collections) <= 12 and int(old) <= 1


def test_who_collects_nothing_or_has_frozen_something_keeps_that(own):
    """Neither is our affair."""
    enabled, frozen, collections, _, found = told("gc.disable()")
    assert (enabled, frozen, collections, found) == ("False", own, "0", "True")
    enabled, frozen, *_, found = told("kept = [[] for _ in range(1000)]; gc.freeze()")
    assert enabled == "True" and int(frozen) >= 1000 and found == "True"


def test_an_import_that_fails_leaves_the_collector_running():
    """As it was."""
    after = """
import sys
sys.modules["stratavm.engine.profiles"] = None
stratavm.__dict__.pop("Profile", None)
sys.modules["stratavm.aot.profile"] = None
try:
    stratavm.Profile
except ImportError:
    print(gc.isenabled())
"""
    assert told(after=after)[-1] == "True"
