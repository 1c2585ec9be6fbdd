"""What the compiler does to small functions, stage by stage, and what those functions do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stratavm.base.errors import Trap
from stratavm.contract import layout
from stratavm.engine import Config, Engine, Store
from stratavm.engine.load import load
from stratavm.module.features import ALL
from stratavm.runtime.values import parse_argument
from tests import golden
from tests.filetests.cases import FOLDER, Case, Run, read, render

CASES = [read(path) for path in sorted(FOLDER.glob("*.wat"))]
ENGINES = {
    "oracle": Config(tier="oracle", features=ALL),
    "jit0": Config(strict=True, features=ALL),
    "jit1": Config(tier="jit1", strict=True, features=ALL),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_the_compiler_makes_what_is_written_beside_the_module(case: Case) -> None:
    """Every stage that the head asks for; the claim stands in the module."""
    golden.compare(case.expected, render(case))


def outcome(config: Config, case: Case, run: Run) -> str:
    """What an engine makes of a call."""
    instance = load(case.path.read_text(), store=Store(Engine(config)))
    function = instance.exports[run.name]
    values = [parse_argument(t, text) for t, text in zip(function.type.params, run.arguments, strict=True)]
    try:
        found = function(*values)
    except Trap as trap:
        return f"trap {trap.kind}"
    return " ".join(map(str, found)) if isinstance(found, tuple) else "" if found is None else str(found)


@pytest.mark.parametrize("tier", ENGINES)
@pytest.mark.parametrize("case", [case for case in CASES if case.runs], ids=lambda case: case.path.stem)
def test_the_functions_do_what_the_module_says(case: Case, tier: str) -> None:
    """On every tier, and under the case's own passes, plan and allocator."""
    config = ENGINES[tier]
    if tier == "jit1":
        options = case.options
        config = config.having(
            passes=options.passes,
            machine_passes=options.machine,
            memory_plan=options.memory_plan,
            allocator=options.allocator,
        )
    for run in case.runs:
        assert outcome(config, case, run) == run.outcome, run


def test_there_are_enough_to_mean_something() -> None:
    """Selection, passes and allocation; two thirds of the modules also run."""
    assert len(CASES) >= 60
    assert 3 * sum(1 for case in CASES if case.runs) >= 2 * len(CASES)


def test_no_expectation_is_left_behind() -> None:
    """Each golden file belongs to a module."""
    assert {path.stem for path in FOLDER.glob("*.expected")} <= {case.path.stem for case in CASES}


def listings(name: str) -> dict[str, list[str]]:
    """The machine code of each function of a golden file."""
    parts = (part.partition("\n") for part in (FOLDER / f"{name}.expected").read_text().split("== asm ")[1:])
    return {function: [line.strip() for line in lines.splitlines()] for function, _, lines in parts}


@pytest.mark.parametrize("name", ["objects-heap", "objects-opt"])
def test_a_new_object_is_seven_instructions(name: str) -> None:
    """At both levels, and its stores, of which the header is the first: `make bless` would take any number. An array of
    a length that is given may be two more."""
    window = rf"mov r\w+, qword ptr \[r15 \+ {layout.EXEC.offset('heap_next'):#x}\]"
    most = dict.fromkeys(("zeros", "nulls"), 9)
    for function, lines in listings(name).items():
        for at in (at for at, line in enumerate(lines) if re.fullmatch(window, line)):
            header = next(n for n, line in enumerate(lines[at:]) if re.fullmatch(r"mov \w+ ptr \[r\w+\], r11d?", line))
            assert header == most.get(function, 7), function


def test_a_write_barrier_is_five_instructions() -> None:
    """And the store. Null, a number, and what is written into a new object have none."""
    asks = rf"(mov|lea) r11, .*; shr r11, 4; add r11, qword ptr \[r15 \+ {layout.EXEC.offset('heap_side'):#x}\]; test "
    asks += r"byte ptr \[r11.*\], 0x40; jne L\d+; L0:; mov qword ptr \[.*\], r\w+; pop rbp; ret; .*"
    found = {function: "; ".join(lines) for function, lines in listings("objects-heap").items()}
    assert all(re.search(asks, found[function]) for function in ("set", "put"))
    assert not any(re.search(r"\], 0x40; ", found[function]) for function in ("new", "pair", "clear", "number"))


HEAD = ";; A claim.\n;;! show: asm\n"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (";;! show: asm\n", "needs a claim"),
        (";; A claim.\n", "needs a claim"),
        (";; A claim.\n;;! show: assembly\n", "needs a claim"),
        (HEAD + ";;! pass: fold\n", "unknown key pass"),
        (HEAD + ";;! cpu: mmx\n", "unknown extensions"),
        (HEAD + ";;! plan: none\n", "plan: none"),
        (HEAD + ";;! run: f 1 2\n", "is not NAME"),
    ],
)
def test_a_wrong_head_is_refused(head: str, message: str, tmp_path: Path) -> None:
    """A misspelt key would else test something else than its author thinks."""
    path = tmp_path / "wrong.wat"
    path.write_text(head + "(module)")
    with pytest.raises(ValueError, match=message):
        read(path)


def test_a_pass_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Where it would run."""
    path = tmp_path / "wrong.wat"
    path.write_text(HEAD + ";;! passes: foldd\n(module (func))")
    with pytest.raises(ValueError, match="unknown passes: foldd"):
        render(read(path))


def test_a_difference_fails_readably_until_it_is_blessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another constant: the failure shows that line; a missing file fails too; `make bless` accepts."""
    path = tmp_path / "small.wat"
    path.write_text(HEAD + "(module (func $f (result i32) (i32.const 41)))")
    case = read(path)
    monkeypatch.delenv("STRATA_BLESS", raising=False)
    with pytest.raises(pytest.fail.Exception, match="is missing"):
        golden.compare(case.expected, render(case))
    monkeypatch.setenv("STRATA_BLESS", "1")
    golden.compare(case.expected, render(case))
    monkeypatch.delenv("STRATA_BLESS")
    golden.compare(case.expected, render(case))
    path.write_text(path.read_text().replace("41", "42"))
    with pytest.raises(pytest.fail.Exception, match=r"(?s)-  mov eax, 0x29.*\+  mov eax, 0x2a"):
        golden.compare(case.expected, render(case))
