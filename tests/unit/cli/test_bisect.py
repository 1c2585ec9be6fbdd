"""``strata bisect``: a rewrite that a test plants is found among right ones, in one of many functions."""

from __future__ import annotations

import json

import pytest

from stratavm.cli.main import main
from stratavm.engine.bisect import bisect, first_wrong
from stratavm.ir import pipeline
from stratavm.ir.stage import Stage
from stratavm.native.compile import MACHINE_LEVELS
from stratavm.spec.index import IDS

FILLER = "\n".join(
    f"(func $f{i} (param i32) (result i32) (i32.mul (local.get 0) (i32.const {2**i})))" for i in range(9)
)
MODULE = f"""(module (memory (export "memory") 1) {FILLER}
  (func $turn (param i32) (result i32)
    (local.set 0 (i32.add (local.get 0) (i32.const 0)))
    (local.set 0 (i32.mul (local.get 0) (i32.const 4)))
    (i32.rotl (local.get 0) (i32.add (i32.const 3) (i32.const 2))))
  (func (export "run") (param i32) (result i32)
    (i32.store (i32.const 0) (call $f3 (local.get 0)))
    (i32.add (call $f2 (local.get 0)) (call $turn (local.get 0))))
  (func (export "_start") (if (i32.ne (call $turn (i32.const 1)) (i32.const 128)) (then unreachable))))"""


@pytest.fixture
def module(tmp_path):
    """A module in a file."""
    path = tmp_path / "m.wat"
    path.write_text(MODULE)
    return str(path)


class Wrong(Stage):
    """A pass that turns rotations the other way."""

    last, explained = ("", -1), ()

    def transform(self, ssa, out):
        """The output from the input."""
        view, self.spent = ssa.dump(), 0
        for i, (op, *rest) in enumerate(view.nodes):
            if op == IDS["i32.rotl"] and self.spent < self.budget:
                view.nodes[i] = (IDS["i32.rotr"], *rest)
                self.spent += 1
                self.last = ("wrong", i)
        out.load(view)
        return out


@pytest.fixture
def planted(monkeypatch):
    """A pass that is wrong, behind those of value numbering."""
    make = pipeline.Pipeline.__init__

    def with_wrong(self, passes, *more, **named):
        make(self, passes, *more, **named)
        self.stages += [Wrong()] if "wrong" in passes else []

    monkeypatch.setitem(pipeline.PASSES, "wrong", "planted")
    monkeypatch.setattr(pipeline.Pipeline, "__init__", with_wrong)
    return "--passes=fold,wrong,share"


@pytest.mark.parametrize("reference", ["oracle", "jit0"])
def test_the_planted_rewrite_is_found(module, planted, reference, capsys):
    """Pass, function, rewrite, node and offset; the third rewrite of its function, not the first."""
    code = main(["bisect", "--json", "--invoke=run", f"--reference={reference}", planted, module, "5"])
    culprit = json.loads(capsys.readouterr().out)["culprit"]
    assert code == 1
    assert (culprit["name"], culprit["func"], culprit["func_name"]) == ("wrong", 9, "turn")
    assert "i32.rotl" in culprit["node"]
    assert 1 < culprit["rewrite"] <= culprit["rewrites"]
    assert culprit["offset"] > 0
    assert culprit["runs"] < 20


def test_a_program_is_bisected_by_what_it_does(module, planted, capsys):
    """Without an export to call, ``_start`` runs: here the wrong rewrite makes it trap."""
    assert main(["bisect", planted, module]) == 1
    text = capsys.readouterr().out
    assert text.startswith("pass wrong, function 9 (turn), rewrite ")
    assert "unreachable" in text


def test_no_difference_says_so(module, capsys):
    """The real passes are right about this module."""
    assert main(["bisect", "--invoke=run", module, "5"]) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_the_planted_pass_cannot_be_named_outside_of_tests(module, capsys):
    """It is not among the passes."""
    assert main(["bisect", "--passes=wrong", "--invoke=run", module, "5"]) == 2
    assert "argument --passes: unknown passes: 'wrong'" in capsys.readouterr().err


@pytest.mark.parametrize("name", MACHINE_LEVELS[1])
def test_a_pass_of_the_machine_level_is_named(module, name):
    """Here a program that goes wrong whenever that pass runs; there is no function to name."""
    culprit = bisect(module, lambda m: name in m.engine.config.codegen_passes)
    assert culprit is not None
    assert (culprit.name, culprit.func) == (name, -1)


def test_what_is_wrong_without_any_pass_has_no_name(module):
    """Then selection or allocation is to blame."""
    culprit = bisect(module, lambda m: m.engine.config.tier == "jit1")
    assert culprit is not None
    assert culprit.name == ""


@pytest.mark.parametrize("good", [0, 3])
@pytest.mark.parametrize("size", [1, 2, 9, 100])
def test_the_search_ends_at_a_change(good, size):
    """Wherever the first wrong number lies."""
    for wrong in range(good + 1, good + size + 1):
        assert first_wrong(good, good + size, lambda n, wrong=wrong: n >= wrong) == wrong


THREADED = """(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.store (i32.const 64) (i32.rotl (local.get 1) (i32.const 5)))
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start")
    (drop (call $spawn (i32.const 4)))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
    (if (i32.eq (i32.load (i32.const 64)) (i32.const MINE)) (then unreachable))))"""


@pytest.fixture(params=["1", "0x20000000"])
def threaded(request, tmp_path):
    """A program with a thread, which traps where a word of that is this number: the second is what is wrong."""
    path = tmp_path / "m.wat"
    path.write_text(THREADED.replace("MINE", request.param))
    return str(path), request.param != "1"


def test_a_program_with_threads_is_bisected_too(planted, threaded, capsys):
    """By its memory, and by how it ends."""
    path, traps = threaded
    assert main(["bisect", "--reference=jit0", planted, path]) == 1
    text = capsys.readouterr().out
    assert text.startswith("pass wrong, function 1 (wasi_thread_start), rewrite ")
    assert ("unreachable" in text) == traps


def test_threads_alone_make_no_difference(threaded, capsys):
    """Where what they do is the same each time."""
    assert main(["bisect", threaded[0]]) == 0
    assert capsys.readouterr().out == "no difference\n"
