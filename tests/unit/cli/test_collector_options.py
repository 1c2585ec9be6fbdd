"""``strata run --max-memory`` and ``--gc-…``: what a guest's objects may take, and how long they may hold it up."""

from __future__ import annotations

import pytest

from stratavm.cli import options as common
from stratavm.cli.program import Options
from stratavm.runtime.limits import GcConfig, StoreLimits

LEAK = """(module
  (type $node (struct (field i32) (field (ref null $node))))
  (type $row (array i64))
  (global $list (mut (ref null $node)) (ref.null $node))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop (global.set $list (struct.new $node (i32.const 1) (global.get $list))) (br 0)))
  (func (export "row") (drop (array.new_default $row (i32.const 1000000))))
  (func (export "few") (result i32)
    (struct.get $node 0 (struct.new $node (i32.const 7) (ref.null $node)))))"""


@pytest.fixture
def leak(tmp_path):
    """A program that keeps all the objects that it makes."""
    path = tmp_path / "leak.wat"
    path.write_text(LEAK)
    return str(path)


@pytest.mark.parametrize("how", [(), ("--isolate",), ("--json",)])
@pytest.mark.parametrize(
    ("limit", "option"), [("--max-memory", "--max-memory"), ("--gc-hard-bytes", "--gc-hard-bytes")]
)
def test_objects_of_a_guest_are_bounded(strata, leak, how, limit, option):
    """By what the guest may have in all, and by a bound of theirs; the hint names the option that set it."""
    code, out, err = strata("run", *how, limit, "2M", leak)
    said = out if "--json" in how else err
    assert code == 134
    assert "a struct $node of 32 bytes does not fit: objects take 2 MiB of 2 MiB" in said
    assert f"raise {option}" in said and "StoreLimits" not in err and "GcConfig" not in err


def test_a_large_array_is_refused_at_once(strata, leak):
    """It says what it has and what it may have."""
    code, _, err = strata("run", "--max-memory", "2M", "--invoke", "row", leak)
    assert code == 134
    assert "an array $row of 8000008 bytes does not fit: objects take 0 bytes of 2 MiB (hint: raise --max-mem" in err
    lines = err.splitlines()
    assert "in the guest, innermost call first:" in lines[-2]
    assert "row at 0x" in lines[-1]
    assert strata("run", "--max-memory", "9M", "--invoke", "row", leak)[0] == 0


def test_memories_and_objects_share_what_is_left_over(strata, leak):
    """Both may have so much, and with all the rest together not much more."""
    limits = common.limits(Options(max_memory=1 << 30))
    assert limits == StoreLimits(memories_bytes=1 << 30, heap_bytes=1 << 30, total_bytes=(1 << 30) + (64 << 20))


def test_how_objects_are_collected_is_said_as_in_python():
    """By the names that the fields of ``GcConfig`` have."""
    given = {"gc_pause_us": 300, "gc_soft_bytes": 1 << 20, "gc_hard_bytes": 1 << 21}
    line = {"tier": None, "allocator": None, "memory_plan": "guard", "proposal": []}
    assert common.config(Options(**line, **given)).gc == GcConfig(300, 1 << 20, 1 << 21)
    assert common.config(Options(**line)).gc == GcConfig()


def test_a_pause_and_a_soft_bound_are_taken(strata, leak):
    """And the guest runs."""
    asked = ("--gc-pause-us", "100", "--gc-soft-bytes", "1M", "--gc-hard-bytes=4M")
    assert strata("run", *asked, "--invoke", "few", leak) == (0, "7\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gc-pause-us", "5"), "expected microseconds from 10 to 60000000, such as 300, got '5'"),
        (("--gc-pause-us", "1ms"), "got '1ms'"),
        (("--gc-hard-bytes", "0"), "expected a size from 1 byte on, such as 64M, got '0'"),
        (
            ("--gc-soft-bytes", "1.5G"),
            "expected a size such as 64M, a whole number of bytes, or of k, M, G or T of 1,024 each, got '1.5G'",
        ),
        (("--gc-soft-bytes", "2M", "--gc-hard-bytes", "1M"), "--gc-soft-bytes: it is beyond --gc-hard-bytes"),
    ],
)
def test_what_cannot_be_is_a_usage_error(strata, leak, words, said):
    """Before anything runs."""
    code, _, err = strata("run", *words, leak)
    assert code == 2
    assert said in err
