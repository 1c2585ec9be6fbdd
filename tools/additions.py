"""What it takes to add something: six additions, made in a copy of the tree, built, and tested on every tier.

A proxy for the effort of development, and a guard: an addition that needs more files than it says here is a failure,
and so is one whose places have moved. Each is written the way CONTRIBUTING asks, apart from its documentation.

``python -m tools.additions [NAME…]`` makes them one after the other in one copy and prints files, lines and minutes;
``--each`` gives every one a copy of its own, so that its minutes are its own as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
TIERS: Final = ("oracle", "jit0", "jit1")
TEST_HEAD = f'''import pytest

import stratavm
from stratavm.testing import EventRecorder

TIERS = {TIERS!r}


def engine(tier, **options):
    """Without a way out: what a tier cannot compile is an error."""
    return stratavm.Engine(tier=tier, strict=tier != "oracle", **options)


def instance(text, tier, **options):
    """A module's instance on a tier."""
    made = engine(tier, **options)
    return stratavm.Linker(made).instantiate(stratavm.Store(made), stratavm.Module(text, engine=made))

'''


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that is put behind the first line that is exactly ``behind``; without one, a file of its own."""

    file: str
    text: str
    behind: str = ""

    def apply(self, root: Path) -> None:
        """Change the file. ValueError where the place is not there."""
        path = root / "src/stratavm" / self.file
        if not self.behind:
            path.write_text(self.text)
            return
        lines = path.read_text().splitlines(keepends=True)
        place = next((n for n, line in enumerate(lines) if line.rstrip("\n") == self.behind), None)
        if place is None:
            raise ValueError(f"{self.file} has no line {self.behind!r}")
        path.write_text("".join([*lines[: place + 1], self.text, *lines[place + 1 :]]))

    @property
    def lines(self) -> int:
        """Lines that are not empty."""
        return sum(1 for line in self.text.splitlines() if line.strip())


@dataclass(frozen=True, slots=True)
class Addition:
    """Something that is added.

    Attributes:
        name, what: in a word, in a sentence.
        most: files by hand that it may take, its test apart.
        edits: what is written.
        test: its test, behind ``TEST_HEAD``.
    """

    name: str
    what: str
    most: int
    edits: tuple[Edit, ...]
    test: str

    @property
    def files(self) -> int:
        """Files by hand."""
        return len({edit.file for edit in self.edits})

    @property
    def lines(self) -> int:
        """Lines by hand."""
        return sum(edit.lines for edit in self.edits)


INTEGERS = '_sign_extend(0xC4, "i64", 32)'
KNOWN_SHAPE = Addition(
    "known-shape",
    "i32.extend8_u, an opcode whose shape of selection exists",
    2,
    (
        Edit(
            "spec/ops/int.py",
            '''

@op(0xC5, "i32.extend8_u", "i->i", bits=8)
def extend8_u(d: Domain, a: V) -> V:
    """The low 8 bits, zero-extended."""
    return d.and_(a, d.const(0xFF))
''',
            INTEGERS,
        ),
        Edit(
            "targets/x64/rules_int.py",
            '    yield Rule("i32.extend8_u", "unary", "movzx8_rr", width=4)\n',
            '    yield Rule("i64.extend32_s", "unary", "movsxd_rr", width=8)',
        ),
    ),
    '''
@pytest.mark.parametrize("tier", TIERS)
def test_extend8_u(tier):
    """The low byte."""
    f = instance('(module (func (export "f") (param i32) (result i32) (i32.extend8_u (local.get 0))))', tier).exports.f
    assert [f(n) for n in (0, 255, 256, -1, 0x12345678)] == [0, 255, 0, 255, 0x78]
''',
)
NEW_SHAPE = Addition(
    "new-shape",
    "i32.swap_bytes, an opcode whose shape of selection is new",
    4,
    (
        Edit(
            "spec/ops/int.py",
            '''

@op(0xC6, "i32.swap_bytes", "i->i")
def swap_bytes(d: Domain, a: V) -> V:
    """The bytes in the opposite order."""
    outer = d.or_(d.shl(a, d.const(24)), d.shr_u(a, d.const(24)))
    third = d.shl(d.and_(a, d.const(0xFF00)), d.const(8))
    second = d.and_(d.shr_u(a, d.const(8)), d.const(0xFF00))
    return d.or_(outer, d.or_(third, second))
''',
            INTEGERS,
        ),
        Edit("targets/x64/rules.py", '    "swap",  # in place: row\n', '    "mul",'),
        Edit(
            "targets/x64/rules_int.py",
            '    yield Rule("i32.swap_bytes", "swap", "bswap_r", width=4)\n',
            '    yield Rule("i64.extend32_s", "unary", "movsxd_rr", width=8)',
        ),
        Edit("targets/x64/select_num.py", "    S_SWAP,\n", "    S_SHIFT,"),
        Edit(
            "targets/x64/select_num.py",
            """        elif shape == S_SWAP:
            op: uint32_t = self.ssa.nodes[n].op
            self.row(RULE_ROW[op], RULE_WIDTH[op], self.define(n), self.value(self.ssa.nodes[n].a), NO_VREG)
""",
            "            self.multiply(n)",
        ),
    ),
    '''
@pytest.mark.parametrize("tier", TIERS)
def test_swap_bytes(tier):
    """There and back; the input lives on."""
    text = """(module (func (export "f") (param i32) (result i32 i32)
        (i32.swap_bytes (local.get 0)) (i32.swap_bytes (i32.swap_bytes (local.get 0)))))"""
    f = instance(text, tier).exports.f
    assert f(0x12345678) == (0x78563412, 0x12345678)
''',
)
TWO_RESULTS = Addition(
    "two-results",
    "i32.mul_wide_u, an opcode with two results, which its meaning is expanded for",
    4,
    (
        Edit(
            "spec/ops/wide.py",
            '''

@op(0x17, "i32.mul_wide_u", "ii->ii", prefix=0xFC)
def mul_wide_u_32(d: Domain, a: V, b: V) -> tuple[V, V]:
    """Product of unsigned numbers, all 64 bits."""
    return d.mul(a, b), d.mulhi_u(a, b)
''',
            "    return d.mul(a, b), d.mulhi_u(a, b)",
        ),
    ),
    '''
@pytest.mark.parametrize("tier", TIERS)
def test_two_results(tier):
    """The low half first."""
    text = """(module (func (export "f") (param i32 i32) (result i32 i32)
        (i32.mul_wide_u (local.get 0) (local.get 1))))"""
    assert instance(text, tier).exports.f(0x10003, 0x20005) == (0xB000F, 2)
''',
)
WASI_FUNCTION = Addition(
    "wasi-function",
    "clock_uptime_get, a function of WASI",
    1,
    (
        Edit(
            "wasi/p1/clock.py",
            '''

@PREVIEW1.function("clock_uptime_get", "i->i")
def clock_uptime_get(ctx: Context, guest: Guest, out: int) -> None:
    """Write the monotonic clock's time."""
    guest.write_u64(out, read_clock(ctx, Clockid.MONOTONIC))
''',
            "    guest.write_u64(out, ns)",
        ),
    ),
    '''
@pytest.mark.parametrize("tier", TIERS)
def test_clock_uptime_get(tier):
    """A program sees time pass."""
    text = """(module (import "wasi_snapshot_preview1" "clock_uptime_get" (func $up (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (if (i32.or (call $up (i32.const 8)) (i64.eqz (i64.load (i32.const 8))))
            (then unreachable))))"""
    made = engine(tier)
    linker, store = stratavm.Linker(made), stratavm.Store(made)
    linker.define_namespaces(stratavm.Wasi().namespaces())
    linker.instantiate(store, stratavm.Module(text, engine=made)).exports["_start"]()
''',
)
ENGINE_EVENT = Addition(
    "engine-event",
    "LinkerCreated, an event of the engine",
    2,
    (
        Edit(
            "engine/events.py",
            '''

@event
class LinkerCreated(Event):
    """A linker was made, with nothing to offer."""

    tier: str
''',
            "    memory_plan: str",
        ),
        Edit(
            "engine/linker.py",
            "from stratavm.engine.events import LinkerCreated\n",
            "from stratavm.base.text import printable",
        ),
        Edit(
            "engine/linker.py",
            """        if self.engine.source.hears(LinkerCreated):
            self.engine.source.emit(LinkerCreated(self.engine.config.tier))
""",
            "        self._offered: dict[tuple[str, str], Offered] = {}",
        ),
    ),
    '''
@pytest.mark.parametrize("tier", TIERS)
def test_linker_created(tier):
    """It is heard."""
    from stratavm.engine.events import LinkerCreated

    made = engine(tier)
    with EventRecorder(made.bus, LinkerCreated) as recorder:
        stratavm.Linker(made)
    assert recorder.one(LinkerCreated).tier == tier
''',
)
SSA_PASS = Addition(
    "ssa-pass",
    "mirror, a pass over the SSA form",
    2,
    (
        Edit(
            "ir/passes/mirror.py",
            '''"""Comparisons that are greater become less, with their operands exchanged."""

from __future__ import annotations

from typing import Final

from stratavm.ir.ssa import Ssa
from stratavm.ir.stage import Stage
from stratavm.spec.index import BY_MNEMONIC, IDS

MIRRORS: Final = {IDS[name]: IDS[row.mirror] for name, row in BY_MNEMONIC.items() if row.mirror and ".gt" in name}


class Mirror(Stage):  # type: ignore[misc]  # a compiled class
    """The pass."""

    last: tuple[str, int] = ("", -1)
    explained: tuple[tuple[str, int], ...] = ()

    def transform(self, ssa: Ssa, out: Ssa) -> Ssa:
        """Make the output from the input."""
        view, self.spent = ssa.dump(), 0
        for i, (op, type_, flags, a, b, *rest) in enumerate(view.nodes):
            if op in MIRRORS and self.spent < self.budget:
                view.nodes[i] = (MIRRORS[op], type_, flags, b, a, *rest)
                self.spent, self.last = self.spent + 1, ("mirror", i)
        out.load(view)
        return out
''',
        ),
        Edit(
            "ir/pipeline.py",
            "from stratavm.ir.passes.mirror import Mirror\n",
            "from stratavm.ir.passes.licm import Licm",
        ),
        Edit(
            "ir/pipeline.py",
            '    (Mirror, {"mirror": "comparisons that are greater become less"}),\n',
            '    (Unroll, {"unroll": "small loops stand two or four times behind themselves, and poll once"}),',
        ),
    ),
    '''
@pytest.mark.parametrize("tier", TIERS)
def test_mirror(tier):
    """The meaning stays; on the level that has passes, the comparison is the other one."""
    from stratavm.engine.stages import dump_stage

    text = """(module (func (export "f") (param i32 i32) (result i32) (i32.gt_s (local.get 0) (local.get 1))))"""
    f = instance(text, tier).exports.f
    assert (f(1, 2), f(2, 1), f(1, 1), f(1, -1)) == (0, 1, 0, 1)
    if tier == "jit1":
        made = engine(tier, passes=("mirror",))
        assert "i32.lt_s" in dump_stage(stratavm.Module(text, engine=made), 0, "opt")
''',
)
ADDITIONS: Final = (KNOWN_SHAPE, NEW_SHAPE, TWO_RESULTS, WASI_FUNCTION, ENGINE_EVENT, SSA_PASS)


def copy_of(root: Path, target: Path) -> None:
    """The files of the tree that git knows, or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listing.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def step(tree: Path, *command: str, **environment: str) -> float:
    """Run a module of Python in a tree; the seconds it took. RuntimeError with what it said if it fails."""
    begin = time.monotonic()
    env = os.environ | {"PYTHONPATH": f"src{os.pathsep}."} | environment
    done = subprocess.run([sys.executable, "-m", *command], cwd=tree, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-6000:]}")
    return time.monotonic() - begin


def make(additions: Iterable[Addition], tree: Path) -> dict[str, float]:
    """Make additions in a copy, generate, build and test; seconds by step."""
    copy_of(ROOT, tree)
    tests = []
    for addition in additions:
        for edit in addition.edits:
            edit.apply(tree)
        path = tree / f"tests/test_addition_{addition.name.replace('-', '_')}.py"
        path.write_text(TEST_HEAD + addition.test)
        tests.append(str(path.relative_to(tree)))
    return {
        "generate": step(tree, "tools.gen", STRATA_STALE="defer"),
        "build": step(tree, "tools.build"),
        "test": step(tree, "pytest", "-q", *tests),
    }


def report(additions: tuple[Addition, ...], seconds: dict[str, float]) -> None:
    """Print a line for each addition, and one for the time."""
    for addition in additions:
        print(
            f"{addition.name:14} {addition.files} of {addition.most} files, {addition.lines:3} lines: {addition.what}"
        )
    print(f"{sum(seconds.values()) / 60:.1f} minutes:", ", ".join(f"{n} {s:.0f} s" for n, s in seconds.items()))


def main(arguments: list[str]) -> int:
    """Make what is named, or everything."""
    names = [a for a in arguments if not a.startswith("--")]
    unknown = set(names) - {a.name for a in ADDITIONS}
    if unknown:
        print(f"no addition is called {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in ADDITIONS)}")
        return 2
    chosen = tuple(a for a in ADDITIONS if not names or a.name in names)
    for group in [(a,) for a in chosen] if "--each" in arguments else [chosen]:
        with tempfile.TemporaryDirectory(prefix="strata-additions-") as folder:
            report(group, make(group, Path(folder)))
    over = [a.name for a in chosen if a.files > a.most]
    print("\n".join(f"{name}: more files than it may take" for name in over), end="\n" if over else "")
    return bool(over)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
