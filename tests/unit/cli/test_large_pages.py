"""The command has the memory of Python's objects, and what C allocates, in large pages; no other process has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools import build, bytecode

pytestmark = pytest.mark.skipif(
    not build.VARIANTS[build.load_guard(bytecode.START.parents[1]).variant()].is_one
    or not os.path.isdir("/sys/kernel/mm/transparent_hugepage"),
    reason="one file per module, or a kernel without large pages",
)

ADVISED = """
import sys, stratavm.base.errors

def advised():
    found, where = [], None
    for line in open("/proc/self/smaps"):
        words = line.split()
        if not words[0].endswith(":"):
            where = words
        elif words[0] == "VmFlags:" and "hg" in words:
            begin, end = (int(x, 16) for x in where[0].split("-"))
            found.append((begin, end, where[5:]))
    return found
"""


def said(code: str, *words: str, **environment: str) -> list[str]:
    """What a process of its own prints."""
    told = {k: v for k, v in os.environ.items() if not k.startswith("COV")} | environment
    done = subprocess.run([sys.executable, "-c", ADVISED + code, *words], capture_output=True, text=True, env=told)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_objects_and_the_heap_lie_in_large_pages():
    """Those that are made from then on."""
    code = """
large_pages = stratavm._hook.hot.large_pages
assert advised() == []
large_pages()
objects = [("x%d" % n) * 8 for n in range(40_000)]
areas = advised()
print(sum(any(begin <= id(o) < end for begin, end, _ in areas) for o in objects) > 20_000)  # others: where room was
print(any(name == ["[heap]"] for _, _, name in areas))
large_pages()
print(advised() == areas)
"""
    assert said(code) == ["True", "True", "True"]


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc", "pymalloc_debug"])
def test_when_they_are_used_up_memory_comes_as_ever(allocator):
    """Forty megabytes, given back and taken again; with other allocators, too."""
    code = """
stratavm._hook.hot.large_pages()
for _ in range(3):
    objects = [("%07d" % n) * 8 for n in range(400_000)]
    assert all(o[:7] == "%07d" % n for n, o in enumerate(objects))
    del objects
print("done")
"""
    assert said(code, PYTHONMALLOC=allocator) == ["done"]


@pytest.mark.parametrize("goes_back", [False, True])
def test_the_command_asks_for_them(goes_back, tmp_path):
    """Before it imports what it works with; where the host of the machine takes free memory, for large programs."""
    code = """
import os, types, stratavm
from stratavm.cli import command
hot = stratavm._hook.hot
stratavm._hook.hot = types.SimpleNamespace(
    large_pages=lambda: print("asked", "stratavm.cli.main" in sys.modules),
    alone=hot.alone, create=hot.create, numbers=hot.numbers, key=hot.key, code=hot.code, is_as=hot.is_as,
    quick_imports=hot.quick_imports, keep_heap=lambda: print("kept"),
    gives_memory_back=lambda: os.environ["GOES_BACK"] == "True",
)
command()
"""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(bytes(1000))
    with large.open("wb") as file:
        file.truncate(1 << 22)
    for words, is_much in (((), False), ((str(small), "no file"), False), ((str(small), str(large)), True)):
        kept, *asked, version = said(code, "--version", *words, GOES_BACK=str(goes_back))
        assert kept == "kept" and asked == ([] if goes_back and not is_much else ["asked False"])
        assert version.startswith("strata ")


def test_the_heap_keeps_what_is_freed():
    """Which Python's own does not: it shrinks as soon as an eighth of a megabyte at its end is free."""
    code = """
def size():
    return next(int(e, 16) - int(b, 16) for b, _, e in (line.split()[0].partition("-") for line in
        open("/proc/self/smaps") if "[heap]" in line))

def grown():
    before = size()
    blocks = [bytearray(100_000) for _ in range(40)]
    most = size() - before
    blocks.clear()
    return most, size() - before

most, left = grown()
print(most > 2_000_000, left < 1_500_000)
stratavm._hook.hot.keep_heap()
most, left = grown()
print(most > 2_000_000, left == most)
"""
    assert said(code) == ["True True", "True True"]


def test_whether_memory_goes_back_is_what_the_kernel_says():
    """The least order that it tells its host, where it does."""
    try:
        with open("/sys/module/page_reporting/parameters/page_reporting_order") as file:
            goes_back = int(file.read()) >= 0
    except FileNotFoundError:
        goes_back = False
    assert said("print(stratavm._hook.hot.gives_memory_back())") == [str(goes_back)]


def test_who_embeds_keeps_their_own():
    """Neither the import nor a program changes what the process of an embedder has."""
    code = """
import stratavm
stratavm.load("(module (func (export \\"f\\") (result i32) (i32.const 1)))").exports.f()
print([name for _, _, name in advised() if name == ["[heap]"]])
"""
    assert said(code) == ["[]"]
