"""A file test: a module whose head says what to show of it, and the stages as text that a golden file can hold.

The head is the comments at the top: ``;;! key: words``; the others say what the test claims.

- ``show``: stages, of ``ssa`` (as built), ``opt`` (after the passes), ``minst`` (selected), ``sched`` (scheduled),
  ``ra`` (allocated) and ``asm``;
- ``passes``, ``machine``: passes of the SSA form and of the machine level; none where absent, all of a level where it
  says ``level 1``;
- ``plan``: ``guard`` or ``bounded``; ``allocator``: ``linear``, ``splitting`` or ``naive``;
- ``cpu``: extensions besides the required ones; without it there are none, whatever this machine has;
- ``run``: ``NAME ARGUMENTS => RESULTS``, or ``=> trap KIND``: what the exported function does on every tier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import capstone

from stratavm.base.errors import TRAP_KINDS
from stratavm.ir.pipeline import LEVELS
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.machine.code import Code
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, ModuleCompiler, Options, wasm_compiler
from stratavm.native.worker import MACHINE_STAGES, Worker
from stratavm.targets.x64.plan import REQUIRED
from stratavm.targets.x64.regs import CPU_FEATURES

FOLDER: Final = Path(__file__).parent
STAGES: Final = ("ssa", "opt", *MACHINE_STAGES, "asm")
KEYS: Final = ("show", "passes", "machine", "plan", "allocator", "cpu", "run")
_HEAD = re.compile(r";;(?:! (\w+):)? (.*)")
_RUN = re.compile(r"(\S+)\s*(.*?)\s*=>\s*(.*)")


@dataclass(frozen=True, slots=True)
class Run:
    """A call and its outcome, as text."""

    name: str
    arguments: tuple[str, ...]
    outcome: str


@dataclass(frozen=True, slots=True)
class Case:
    """A file test."""

    path: Path
    claim: str
    show: tuple[str, ...]
    options: Options
    runs: tuple[Run, ...] = field(default=())

    @property
    def expected(self) -> Path:
        """The golden file."""
        return self.path.with_suffix(".expected")


def read(path: Path) -> Case:
    """The case that a file describes.

    Raises:
        ValueError: the head is wrong; the message says how.
    """
    found: dict[str, list[str]] = {key: [] for key in KEYS}
    claim = []
    for line in path.read_text().splitlines():
        match = _HEAD.fullmatch(line)
        if match is None:
            break
        key, words = match.groups()
        if key is None:
            claim.append(words)
        elif key not in found:
            raise ValueError(f"{path.name}: unknown key {key}; there are {', '.join(KEYS)}")
        else:
            found[key].append(words)
    show = tuple(" ".join(found["show"]).split())
    if not claim or not show or not set(show) <= set(STAGES):
        raise ValueError(f"{path.name}: the head needs a claim, and `show:` with some of {', '.join(STAGES)}")
    extra = set(" ".join(found["cpu"]).split())
    if not extra <= set(CPU_FEATURES):
        raise ValueError(f"{path.name}: unknown extensions; there are {', '.join(CPU_FEATURES[1:])}")
    plan = " ".join(found["plan"]) or "guard"
    if plan not in ("guard", "bounded"):
        raise ValueError(f"{path.name}: plan: {plan} is neither guard nor bounded")
    options = Options(
        memory_plan="bounded" if plan == "bounded" else "guard",
        allocator=(found["allocator"] or ["linear"])[0],
        passes=_passes(found["passes"], LEVELS),
        machine=_passes(found["machine"], MACHINE_LEVELS),
        features=REQUIRED | extra,
    )
    return Case(path, " ".join(claim), show, options, tuple(map(_run, found["run"])))


def _passes(lines: list[str], levels: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    """The passes that a line names; unknown ones are refused where they are used."""
    words = " ".join(lines).split()
    return levels[1] if words == ["level", "1"] else tuple(words)


def _run(text: str) -> Run:
    """A ``run`` line."""
    match = _RUN.fullmatch(text)
    if match is None:
        raise ValueError(f"run: {text!r} is not NAME ARGUMENTS => RESULTS")
    return Run(match[1], tuple(match[2].split()), match[3])


def render(case: Case) -> str:
    """The chosen stages of every function."""
    module = parse_module(case.path.read_text(), features=ALL)
    valid = validate(module, ALL)
    compiler = wasm_compiler(valid, case.options)
    sections = []
    with compiler.worker() as worker:
        for index in range(len(valid.bodies)):
            name = module.func_name(len(module.imported_funcs) + index)
            sections += [f"== {stage} {name}\n{_stage(compiler, index, stage, worker)}" for stage in case.show]
    return "\n".join(sections)


def _stage(compiler: ModuleCompiler, index: int, stage: str, worker: Worker) -> str:
    """One stage of one function."""
    if stage == "ssa":
        ssa = Ssa()
        compiler.front.build(index, ssa)
        return print_ssa(ssa)
    worker.build(compiler.front, index)
    if stage == "opt":
        return print_ssa(worker.input)
    if stage == "asm":
        return "\n".join(assembly(worker.generate())) + "\n"
    return str(worker.machine_ir(stage))


def assembly(code: Code) -> Iterator[str]:
    """Machine code with labels instead of addresses, so that a change shows where it is and nowhere else."""
    instructions = list(capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code.code, 0))
    starts = {i.address for i in instructions}
    targets = {int(i.op_str, 16) for i in instructions if i.mnemonic[0] == "j" and i.op_str.startswith("0x")} & starts
    labels = {at: f"L{number}" for number, at in enumerate(sorted(targets))}
    traps = {site.pc: TRAP_KINDS[site.kind].name for site in code.trap_sites}
    for i in instructions:
        if i.address in labels:
            yield f"{labels[i.address]}:"
        jump = i.mnemonic[0] == "j" and i.op_str.startswith("0x")
        operands = labels.get(int(i.op_str, 16), "outside") if jump else i.op_str
        note = f"  ; trap {traps[i.address]}" if i.address in traps else ""
        yield f"  {i.mnemonic} {operands}".rstrip() + note
