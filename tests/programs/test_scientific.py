"""CPython with the scientific stack: 89,060 functions with exceptions and vectors, and what they print on wasmtime."""

from __future__ import annotations

import json

import pytest

from tests import needed
from tests.programs.pythons import HERE, MODULE, SCRIPTS, Guest, library

pytestmark = pytest.mark.trace_slow
RUNS = [(script, "auto") for script in SCRIPTS] + [(s, t) for s in ("arrays", "science") for t in ("jit0", "jit1")]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The module, and the folders that it is given."""
    module = needed.program(MODULE)
    return module, library(module, tmp_path_factory.mktemp("python"))


@pytest.mark.slow
@pytest.mark.parametrize(("script", "tier"), RUNS)
def test_scripts_print_what_they_print_on_wasmtime(given, tmp_path, script, tier):
    """Every digit, every digest of an array's bytes, every pixel of the picture."""
    guest = Guest(*given, tmp_path, (f"/scripts/{script}.py",), tier=tier)
    assert guest.run() == 0, guest.errors.decode()[-2000:]
    assert guest.output.decode() == (HERE / f"{script}.txt").read_text()


def test_turns_share_what_they_made_and_call_the_host(given, tmp_path):
    """Pieces of a program: values stay, exceptions end a turn only, answers come through the guest's allocator."""
    asked = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return json.dumps(sum(json.loads(request))).encode()

    guest = Guest(*given, tmp_path, answer=answer)
    assert guest.turn("import _host, json\nx = 6") == 0
    assert guest.turn("x * 7") == 0
    assert guest.turn("json.loads(_host.call(b'[1, 2, 39]'))") == 0
    assert guest.turn("def f(n):\n    return f(n + 1)\nf(0)") == 1
    assert guest.turn("1 / 0") == 1
    assert guest.turn("print(x, f'{x / 9:.3f}')") == 0
    assert guest.turn("raise SystemExit(3)") == 3
    assert guest.turn("exit(5)") == 256 + 5
    assert guest.turn("import os\nos._exit(9)") == 9
    assert guest.output.decode() == "42\n42\n6 0.667\n"
    errors = guest.errors.decode()
    assert "RecursionError" in errors and "ZeroDivisionError: division by zero" in errors
    assert asked == [b"[1, 2, 39]"]


def test_a_host_that_is_not_there_is_an_error_of_the_guest(given, tmp_path):
    """The import says so by a number, and the guest raises; its program goes on."""
    guest = Guest(
        *given, tmp_path, ("-c", "import _host\ntry:\n    _host.call(b'x')\nexcept OSError:\n    print('none')")
    )
    assert guest.run() == 0, guest.errors.decode()[-2000:]
    assert guest.output == b"none\n"
