"""Functions are imported by the names that a program wants."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from stratavm.wasi.p1 import HOMES, NAMESPACES, functions
from stratavm.wasi.registry import PREVIEW1, UNSTABLE


@pytest.mark.parametrize("home", sorted(set(HOMES.values())))
def test_a_module_declares_what_its_names_say(home):
    """All of it, and nothing else: who wants a function by its name has it."""
    module = importlib.import_module(f"stratavm.wasi.p1.{home}")
    bodies = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    declared = {name for name in [*PREVIEW1, *UNSTABLE] if {name, f"{name}_unstable"} & bodies}
    assert declared
    assert declared == {name for name in functions() if HOMES[name.partition("_")[0]] == home}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_only_what_is_wanted_is_given(namespace):
    """All where a name is none of a function: who wants that is told what there is."""
    everything = functions(namespace)
    assert set(functions(namespace, ["fd_write", "random_get"])) == {"fd_write", "random_get"}
    assert functions(namespace, ["fd_write"])["fd_write"] is everything["fd_write"]
    assert functions(namespace, ["fd_write", "fd_wrote"]) == everything
    assert functions(namespace, []) == {}
    assert functions(namespace, ["fd_write", "gd_write"]) == everything


def test_other_modules_are_not_imported():
    """A program that prints needs those of descriptors."""
    code = (
        "import sys; from stratavm.wasi.p1 import functions; functions(names=['fd_write']);"
        "print(*(name for name in sys.modules if name.startswith('stratavm.wasi.p1.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"stratavm.wasi.p1.fd", "stratavm.wasi.p1.short"}
