"""What ``strata run`` imports: a process that prints hello does nothing else for most of its time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import stratavm

STANDARD = (
    "array, bisect, collections.abc, contextlib, errno, faulthandler, fcntl, functools, gc, heapq, importlib.util, "
    "itertools, math, os, resource, runpy, select, stat, struct, termios, threading, weakref"
)
"""Of the standard library it may import these, and what they import themselves."""

APART = (
    "rich",
    "stratavm.cli.invoke",
    "stratavm.cli.isolate",
    "stratavm.machine.mfunc",
    "stratavm.machine.regalloc.checker",
    "stratavm.targets.x64.encodings",
    "stratavm.base.endings",
    "stratavm.engine.load",
    "stratavm.engine.missing",
    "stratavm.engine.recovery",
    "stratavm.engine.report",
    "stratavm.engine.types",
    "stratavm.ir.front",
    "stratavm.ir.passes",
    "stratavm.ir.pipeline",
    "stratavm.ir.text",
    "stratavm.ir.verify",
    "stratavm.ir.view",
    "stratavm.module.encode",
    "stratavm.module.foreign",
    "stratavm.module.lexer",
    "stratavm.module.outline",
    "stratavm.module.parser",
    "stratavm.module.places",
    "stratavm.module.printer",
    "stratavm.sandbox.completed",
    "stratavm.spec.concrete",
    "stratavm.spec.ops",
    "stratavm.testing",
    "stratavm.tiers.oracle",
    "stratavm.wasi.hostfs",
    "stratavm.wasi.listing",
    "stratavm.wasi.openat2",
    "stratavm.wasi.sockets",
)
"""Modules (with what is below them) for text, for tools, or for what this program does not use."""

MOST_MODULES = 209

LIST = "import sys; print(*sorted(sys.modules))"


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The modules that the run of a binary program leaves, and that a process has anyway."""
    program = tmp_path_factory.mktemp("start") / "hello.wasm"
    program.write_bytes(stratavm.Module('(module (func (export "_start")))').model.binary)
    run = f"from stratavm.cli.main import main; import sys; code = main(['run', {str(program)!r}]); {LIST}"
    # Checks that are switched on need the tools.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("STRATA_CHECK") and not k.startswith("COV")}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain
        ).stdout.split()
        for code in (run, f"import {STANDARD}; {LIST}")
    ]
    return set(outputs[0]), set(outputs[1])


def test_standard_library(imported):
    """Nothing of the standard library is imported that is slow to import and seldom used."""
    loaded, expected = imported
    assert "stratavm.engine.engine" in loaded
    foreign = {n for n in loaded - expected if not n.startswith(("stratavm", "_", "__"))}
    assert foreign & sys.stdlib_module_names == set()


@pytest.mark.parametrize("name", APART)
def test_layers(imported, name):
    """A layer that the program does not need is not imported."""
    loaded, _ = imported
    assert [n for n in loaded if n == name or n.startswith(name + ".")] == []


def test_a_plain_run_imports_few_modules(imported):
    """Each takes a file to find and open: what is seldom used is imported where it is used."""
    loaded, _ = imported
    ours = sorted(name for name in loaded if name.partition(".")[0] == "stratavm")
    assert len(ours) <= MOST_MODULES, ours


def test_that_the_list_is_of_modules():
    """A module of the list that is renamed must be renamed here."""
    import importlib.util

    assert [name for name in APART if importlib.util.find_spec(name) is None] == []
