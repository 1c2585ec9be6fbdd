"""What the compiler makes of the benchmark kernels, in counts that no other process can disturb.

IR nodes, instructions, accesses to the frame (spills and reloads) and code bytes of every kernel,
at level 0 with a fixed set of processor features. ``tests/bench/counters.json`` holds the accepted
counts: a growth of more than three per cent fails. ``--write`` accepts the present ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import capstone

from stratavm.codegen.compile import ModuleCompiler, Options
from stratavm.codegen.x64.regs import CPU_FEATURES
from stratavm.ir.from_wasm import build
from stratavm.ir.ssa import Ssa
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "tests/bench/kernels"
ACCEPTED = ROOT / "tests/bench/counters.json"
TOLERANCE_PERCENT = 3.0
OPTIONS = Options(features=frozenset(CPU_FEATURES[1:]))

Counts = dict[str, int]


def is_frame_access(instruction: capstone.CsInsn) -> bool:
    """Whether an operand lies in the function's own frame."""
    return "[rsp" in instruction.op_str or "[rbp - " in instruction.op_str


def count(path: Path) -> Counts:
    """The counts of all functions of one kernel."""
    module = parse_module(path.read_text())
    valid = validate(module)
    compiler = ModuleCompiler(module, OPTIONS)
    machine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    total = dict.fromkeys(("nodes", "instructions", "frame accesses", "code bytes"), 0)
    for index in range(len(valid.bodies)):
        ssa = Ssa()
        build(valid, index, ssa)
        code = compiler.compile(valid, index)
        instructions = list(machine.disasm(code.code, 0))
        total["nodes"] += len(ssa.dump().nodes)
        total["instructions"] += len(instructions)
        total["frame accesses"] += sum(map(is_frame_access, instructions))
        total["code bytes"] += len(code)
    return total


def compare(now: dict[str, Counts], accepted: dict[str, Counts]) -> list[str]:
    """The counts that grew too much, and the kernels that nobody accepted."""
    problems = [f"{name}: not in {ACCEPTED.name}" for name in now.keys() - accepted.keys()]
    for name in sorted(now.keys() & accepted.keys()):
        for what, before in accepted[name].items():
            growth = 100 * (now[name][what] - before) / max(1, before)
            if growth > TOLERANCE_PERCENT:
                problems.append(f"{name}: {what} {before} -> {now[name][what]} ({growth:+.1f} %)")
    return problems


def main(arguments: list[str]) -> int:
    """Compare with the accepted counts, or accept the present ones."""
    now = {path.stem: count(path) for path in sorted(KERNELS.glob("*.wat"))}
    if "--write" in arguments:
        ACCEPTED.write_text(json.dumps(now, indent=1) + "\n")
    problems = compare(now, json.loads(ACCEPTED.read_text()))
    sums = {what: sum(counts[what] for counts in now.values()) for what in next(iter(now.values()))}
    print(f"{len(now)} kernels: " + ", ".join(f"{n} {what}" for what, n in sums.items()))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
