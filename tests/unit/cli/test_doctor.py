"""``strata doctor``: says whether Strata works here, and names what does not."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

import stratavm
from stratavm.base import processors, switches
from stratavm.cli import doctor, machine

ROOT = Path(__file__).parents[3]
ELSEWHERE = SimpleNamespace(**{**vars(platform), "machine": lambda: "aarch64"})


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No switch is set, whatever this run of the tests was started with."""
    for name in list(os.environ):
        if name.startswith(switches.PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def quick(monkeypatch):
    """Without the program that is run in a process of its own."""
    monkeypatch.setattr(doctor, "_isolated", lambda: "")


def test_a_sound_machine_has_no_problem(strata):
    """Every section is there, and a program ran on every tier and behind the wall."""
    code, out, err = strata("doctor")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line in doctor.TITLES] == list(doctor.TITLES)
    assert out.count(doctor.WELL) >= 4 and out.endswith("no problem found\n")
    assert (
        f"version  {'' if False else stratavm.__version__}" in " ".join(out.split("  ")) or stratavm.__version__ in out
    )


def test_the_report_for_programs_has_the_same_facts(strata, quick):
    """As data; of the environment it holds nothing but switches."""
    code, out, _ = strata("doctor", "--json")
    facts = json.loads(out)
    assert (code, set(facts)) == (0, {*doctor.TITLES, "problems"})
    assert facts["problems"] == [] and facts["switches"] == {}
    assert set(facts["kernel"]) == {"release", *machine.FEATURES}
    assert facts["limits"]["processors"] == str(len(os.sched_getaffinity(0)))
    assert os.environ["PATH"] not in out


def test_switches_that_are_set_are_explained(strata, quick, monkeypatch):
    """With what they do; what is like one is told so, what is somebody else's is left alone."""
    monkeypatch.setenv("STRATA_POISON", "1")
    monkeypatch.setenv("STRATA_BUILD", "opt")
    assert "fill dead registers" in strata("doctor")[1]
    monkeypatch.setenv("STRATA_CHEK", "2")
    code, out, _ = strata("doctor")
    assert code == 1 and "STRATA_CHEK is set, and no switch: did you mean STRATA_CHECK?" in out


def test_no_variable_that_the_pages_name_is_taken_for_a_misspelt_one(strata, quick, monkeypatch):
    """Those of the build and of tests are no switches of the package."""
    page = (ROOT / "docs/how-to/build.md").read_text()
    named = set(re.findall(r"^\| `(STRATA_[A-Z_]+)", page, re.MULTILINE))
    assert named == {*switches.SWITCHES, *switches.OF_THE_BUILD}
    for name in switches.OF_THE_BUILD:
        monkeypatch.setenv(name, "1")
    assert strata("doctor")[0] == 0


@pytest.mark.parametrize("command", ["doctor", "run", "--help"])
def test_a_switch_that_is_set_to_junk_is_one_line(process, command):
    """Whatever is asked for: the module that obeys it would not be imported."""
    done = process(command, env={**os.environ, "STRATA_POLL": "x\x1b[1m"})
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"strata: STRATA_POLL=x\\x1b[1m: expected always or never, or nothing (hint: ")


@pytest.mark.parametrize(
    ("place", "broken", "words"),
    [
        ("_on_tier", lambda tier: "wrong: the sum" if tier == "jit1" else "", "jit1: wrong: the sum"),
        ("_isolated", lambda: 1 / 0, "isolate: zero division error: division by zero"),
        ("build", lambda: {"kind": "checkout, opt build, 3 modules are stale"}, "run `make build`"),
        ("PYTHONS", ((3, 99), (3, 100)), "this version of Python is not supported"),
        ("platform", ELSEWHERE, "no native tier"),
    ],
)  # fmt: skip
def test_what_does_not_work_is_a_problem(strata, quick, monkeypatch, place, broken, words):
    """And the exit code says so."""
    monkeypatch.setattr(doctor, place, broken)
    code, out, _ = strata("doctor")
    assert code == 1 and words in out and "no problem found" not in out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            '(module (func (export "sum") (param i32) (result i32) (i32.const 1)) (func (export "trap") unreachable))',
            "1",
        ),
        ('(module (func (export "sum") (param i32) (result i32) (i32.const 5050)) (func (export "trap")))', "no trap"),
    ],
)
def test_a_tier_that_computes_wrongly_is_found(monkeypatch, source, said):
    """Its result is looked at, and so is its trap."""
    monkeypatch.setattr(doctor, "PROGRAM", source)
    assert doctor._on_tier("jit0").startswith("wrong: ") and said in doctor._on_tier("jit0")


def test_a_weaker_wall_is_told(monkeypatch):
    """As the run itself warns."""
    from stratavm.sandbox import isolated

    weaker = isolated.run_isolated

    def run(arguments):
        left = weaker(arguments)
        return type(left)(left.stdout, left.stderr, left.ended, ("any path may be opened",))

    monkeypatch.setattr(isolated, "run_isolated", run)
    assert doctor._isolated() == "isolation is weaker here: any path may be opened"
    monkeypatch.setattr(doctor, "PROGRAM", '(module (func (export "_start") unreachable))')
    assert doctor._isolated().startswith("trap: ")


def test_a_feature_that_is_not_there_is_told_from_one_that_is_forbidden(monkeypatch):
    """An old kernel, a container that forbids it, or an answer."""

    def fails(number):
        def call(*_):
            raise OSError(number, os.strerror(number))

        return call

    monkeypatch.setattr(machine, "_system_call", fails(errno.ENOSYS))
    assert (machine._userfaultfd(), machine._io_uring(), machine._seccomp(), machine._membarrier()) == ("no",) * 4
    monkeypatch.setattr(machine, "_system_call", fails(errno.EPERM))
    assert machine._io_uring() == "no (operation not permitted)"


def test_asking_leaves_nothing_open():
    """Descriptors as before."""
    before = os.listdir("/proc/self/fd")
    machine.features()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_limits_are_those_of_the_process_and_of_its_groups(monkeypatch, tmp_path):
    """The narrowest group that says something counts."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a/cpu.max").write_text("150000 100000\n")
    (tmp_path / "a/b/cpu.max").write_text("50000 100000\n")
    (tmp_path / "a/memory.max").write_text("2097152\n")
    (tmp_path / "a/b/memory.max").write_text("1048576\n")
    read = processors.read
    monkeypatch.setattr(processors, "read", lambda path: "0::/a/b" if path == "/proc/self/cgroup" else read(path))
    monkeypatch.setattr(processors, "MOUNT", str(tmp_path))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (5, 5) if which == resource.RLIMIT_NOFILE else (-1, -1))
    found = machine.limits()
    assert found["descriptors"] == "5" and "stack" not in found
    assert found["processors of the control group"] == "0.5"
    assert found["memory of the control group"] == "1048576 bytes"


def test_helper_threads_are_those_that_processors_and_a_switch_allow(strata, quick, monkeypatch):
    """One processor less than are whole; a switch that is not understood is no reason to say nothing."""
    from stratavm.native import background

    assert machine.limits()["helper threads"] == str(background.thread_limit())
    monkeypatch.setattr(background, "processors", SimpleNamespace(whole=lambda here, share: 1, group_share=lambda: 1.5))
    assert machine.limits()["helper threads"] == "0"
    monkeypatch.setenv("STRATA_HELPERS", "2")
    assert machine.limits()["helper threads"] == "2"
    assert "threads that may compile in the background" in strata("doctor")[1]
    monkeypatch.setenv("STRATA_HELPERS", "many")
    assert machine.limits()["helper threads"] == "STRATA_HELPERS=many: expected 0 or 1 or 2, or nothing"
