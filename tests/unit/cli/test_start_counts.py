"""What a start executes and opens, in counts that no other process can disturb: the budget of imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import stratavm
from tools import build, link

MOST_CLASSES = {"import stratavm": 3, "run": 275}
"""Class statements after Python's own start, those of the standard library included. Each takes some 10 µs. What a
linker makes shared memories of is one, snapshots and worlds that go on have two each; what reads the rest of a binary
(a protocol) is one, and what is made of a module when it is asked for; what may be said to the collector and what it
tells are seven, with kept nurseries; the emitter of objects' tests is one. Protocols that only annotations name are
none, mostly."""
MOST_STANDARD_OBJECTS = 2
"""Shared objects of the standard library that a plain run opens."""

QUIET = 3
"""Starts of which the least counts: ticks that find a program on a busy machine load what lifts functions."""

COUNT = """
import builtins, sys
counts, made, real = {}, [], builtins.__build_class__
def build_class(body, name, *bases, **options):
    made.append(f"{body.__module__}.{name}")
    return real(body, name, *bases, **options)
builtins.__build_class__ = build_class
import stratavm
counts["import stratavm"] = list(made)
from stratavm.cli.main import main
main(["run", sys.argv[1]])
counts["run"] = list(made)
with open("/proc/self/maps") as maps:
    files = {line.split(maxsplit=5)[5].rstrip() for line in maps if ".so" in line}
counts["objects"] = sorted(files)
import json
print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """What the run of a binary program counts in a process of its own."""
    program = tmp_path_factory.mktemp("start") / "hello.wasm"
    program.write_bytes(stratavm.Module('(module (func (export "_start")))').model.binary)
    # Checks that are switched on need the tools.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("STRATA_CHECK") and not k.startswith("COV")}
    command = [sys.executable, "-c", COUNT, program]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True, env=plain) for _ in range(QUIET)]
    return json.loads(min(outputs, key=lambda o: len(o.stdout)).stdout)


@pytest.mark.parametrize("start", MOST_CLASSES)
def test_a_start_executes_few_class_statements(counts, start):
    """What is known when the package is built need not be a class that each start makes."""
    assert 0 < len(counts[start]) <= MOST_CLASSES[start], counts[start]


def test_a_start_opens_one_object_of_ours(counts, root):
    """In the build that users get; the others have one for each module."""
    package = os.path.dirname(stratavm.__file__)
    ours = [file for file in counts["objects"] if file.startswith(package)]
    variant = build.VARIANTS[build.load_guard(root).variant()]
    if variant.is_one:
        assert ours == [str(build.object_of(root / "src"))]
    else:
        assert len(ours) > 1 and not any(link.STEM + build.SUFFIX in file for file in ours)


def test_a_start_opens_few_objects_of_the_standard_library(counts):
    """Each is searched, opened and bound."""
    standard = [file for file in counts["objects"] if "lib-dynload" in file]
    assert len(standard) <= MOST_STANDARD_OBJECTS, standard
