"""Claims about code that an error leaves by a jump: it holds nothing, and it does not ask for the GIL to fail."""

import ast
import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src/stratavm"
ROOMS = ("front", "ir", "machine", "targets", "native/batch", "native/worker")
"""Where an error may be a jump: what a worker does under its guard."""
HOLDING = re.compile(r"lock_arena|pthread_\w+_lock|Py_INCREF|malloc|calloc|realloc")


def nogil_names(header):
    """Functions that a ``.pxd`` declares without the GIL."""
    return set(re.findall(r"(\w+)\((?:[^()]|\([^()]*\))*\)[^#\n]*\bnogil\b", header))


def without_gil(function, declared):
    """Whether a function runs without the GIL, by its decorators or its header."""
    return function.name in declared or any("nogil" in ast.unparse(each) for each in function.decorator_list)


def held(source, header=""):
    """What functions without the GIL hold or ask for, as lines and words. One that has Python do something on purpose
    suspends the guard meanwhile."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef) or not without_gil(function, nogil_names(header)):
            continue
        asks_python = "suspend_guard()" in ast.unparse(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Try):
                found.append((node.lineno, "try"))
            elif isinstance(node, ast.With) and "gil" in ast.unparse(node.items[0]) and not asks_python:
                found.append((node.lineno, "gil"))
            elif isinstance(node, ast.Call) and HOLDING.search(ast.unparse(node.func)):
                found.append((node.lineno, ast.unparse(node.func)))
    return found


def hot_modules():
    for room in ROOMS:
        files = (
            [SOURCES / f"{room}.py"] if (SOURCES / f"{room}.py").exists() else sorted((SOURCES / room).rglob("*.py"))
        )
        yield from (
            path for path in files if "# strata: hot" in path.read_text().split('"""')[0] + path.read_text()[:400]
        )


@pytest.mark.parametrize("path", list(hot_modules()), ids=lambda path: str(path.relative_to(SOURCES)))
def test_nothing_is_held_where_an_error_is_a_jump(path):
    """No ``try``, no lock, no memory of its own, no GIL: whoever is jumped over has nothing to give back."""
    header = path.with_suffix(".pxd")
    assert held(path.read_text(), header.read_text() if header.exists() else "") == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("try:\n        g()\n    finally:\n        h()", "try"),
        ("with cython.gil:\n        raise ValueError", "gil"),
        ("p = malloc(3)\n    g(p)\n    free(p)", "malloc"),
        ("pthread_mutex_lock(m)", "pthread_mutex_lock"),
    ],
)
def test_what_is_held_is_found(body, word):
    """In a function without the GIL by its decorator or by its header, and nowhere else."""
    source = f"def f():\n    {body}\n"
    assert [found for _, found in held("@cython.nogil\n" + source)] == [word]
    assert [found for _, found in held(source, "cdef int f(int (*g)(void)) except -1 nogil\n")] == [word]
    assert held(source, "cdef int f() except -1\n") == []


def test_python_is_asked_only_where_nothing_jumps_over_it():
    """A pass or a front end in Python, and checks, take the GIL without a guard."""
    asks = "@cython.nogil\ndef f():\n    {}with cython.gil:\n        g()\n"
    assert held(asks.format("guard = suspend_guard()\n    ")) == []
    assert [word for _, word in held(asks.format(""))] == ["gil"]
