"""Code that nobody uses, or only tests: what vulture finds, and beside it what Cython reads and what users may call.

vulture knows names, not types: a name that is used anywhere is used everywhere. So it overlooks much and accuses
little, and what it accuses goes, or stands in ``KEPT`` with the reason.

``python -m tools.dead`` prints what was found.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, TypeAlias

import vulture

ROOT = Path(__file__).resolve().parents[1]
WORD = re.compile(r"\b[A-Za-z_]\w*\b")
NOT_CODE = re.compile(r'#.*|"""(?:.|\n)*?"""|"[^"\n]*"')
CIMPORTS = re.compile(r"^\s*(?:from\s+\S+\s+)?cimport\s+(?:\([^)]*\)|[^\n]*)", re.M)
# In a `.pxd`: the last name before parameters, dimensions, a value or the line's end, behind a type; or a constant.
DECLARED = re.compile(
    r"^(?P<before>\s*(?!return|if|elif|while|for|raise|yield)[A-Za-z_][\w.*\[\] ]*?[ *])(?P<name>[A-Za-z_]\w*)"
    r"(?P<after>\s*(?:[(=\[].*)?)$|^\s+(?P<constant>[A-Z][A-Z0-9_]*)(?P<value>\s*(?:=.*)?)$"
)
EXAMPLE = re.compile(r"```python\n(.*?)```", re.S)
REGISTERED: Final = ["@op", "@family", "@gate", "@PREVIEW1.function", "@UNSTABLE.function", "@overload"]
"""Decorators whose functions are found by another name."""

Excuse: TypeAlias = tuple[str, str, str]
NATIVE = "tests look at native state that has no other window"
KEPT: Final[tuple[Excuse, ...]] = (
    ("engine/guestobjects.py", "strides suboffsets obj", "fields of a Py_buffer"),
    ("wasi/errno.py", "*", "the interface's numbers, whether or not we answer with them"),
    ("spec/domain.py", "primitive", "a parameter of a protocol"),
    ("spec/prims.py", "PRIMS static", "what the primitives mean: tests hold every domain to it"),
    ("module/facts.py", "complex", "a field of a tuple"),
    ("module/limits.py", "element_items struct_fields", "the reader asks for limits by name"),
    ("*events.py", "after_ns directories waited_s", "a field of an event is for its listeners"),
    ("base/events/core.py", "record_many", "tests record without the GIL, as native code does"),
    ("services/di/*", "astart aget decorate", "public: the documentation has it in words"),
    ("services/listening.py", "delivered", "public: what an async listener has done"),
    ("engine/cache.py", "SharedModuleCache", "public: a service that hosts may choose"),
    ("module/printer.py", "to_wat", "the whole text, which tests of the parser and the printer compare"),
    ("importer.py", "create_module uninstall", "Python's import protocol, and its undoing"),
    (
        "__init__.py",
        "_initializing _set_fileattr create_module get_code has_location submodule_search_locations",
        "Python's import",
    ),
    ("runtime/fibers.py", "error_before", "a local that keeps what must not go yet"),
    ("cli/isolate.py", "wall_off", "an entry that programs of the first release call"),
    ("base/forms.py", "_field_defaults protocol memo", "the protocol of named tuples, and of copying and pickling"),
    ("cli/argparser.py", "_check_value", "argparse calls it"),
    ("cli/output.py", "show_cursor", "rich calls it"),
    ("sandbox/python/entry.py", "warm_async", "public: ``warm`` for asyncio"),
    ("adapters/smolagents.py", "send_tools send_variables", "smolagents calls them"),
    ("adapters/pydantic_ai.py", "for_run get_tools", "pydantic-ai calls them"),
    ("plugins/events.py", "Plugin*", "edges find their events by name (plugins/states.py)"),
    ("plugins/repository/events.py", "forgotten", "a field of an event is for its listeners"),
    ("testing/loop.py", "*", "asyncio calls the methods of a loop"),
    ("testing/*.py", "global_ controlling submits", "public: for the tests of others"),
    ("base/leb.pxd", "LEB_OK", "the zero of its enumeration"),
    ("base/events/*", "tp_vectorcall", "CPython reads it"),
    ("engine/*.py", "tp_*", "CPython reads it"),
    ("engine/python.pxd", "tp_*", "CPython reads it"),
    ("runtime/wipe.p*", "categories vec vec_len max_pages category_* return_mask", "the kernel reads it"),
    ("runtime/instance.py", "mem0_base mem0_def unusable", "machine code reads it"),
    ("runtime/objects.py", "heap_end", "machine code reads it: the window of the heap"),
    ("runtime/builtin_calls.py", "osr_code", "machine code reads it: the stub of polls"),
    ("runtime/exceptions.py", "thrown_tag", "machine code reads it: handlers"),
    ("runtime/residents.py", "thrown_tag", "machine code reads it: handlers"),
    ("runtime/gil.py", "gil_status", NATIVE),
    ("runtime/stacks.py", "stack_status use_light_guards", NATIVE),
    ("runtime/ticker.py", "ticker_status", NATIVE),
    ("runtime/threads.py", "thread_serial stack_left living_blocks", NATIVE),
    ("runtime/occupancy.py", "request_tick request_sample set_deadline", "tests bring about what a timer does"),
    ("machine/code.py", "return_sites landing_sites", "the positions as tuples, for tests"),
    ("machine/mfunc.py", "TERMINATOR", "a flag by name, for tests that write machine code by hand"),
    ("wasi/transfers.py", "transfer_status", NATIVE),
    ("native/apart.py", "threads_begun", NATIVE),
    ("heap/exercise.py", "*", "a guest for tests of the heap"),
    (
        "heap/heap.py",
        "collect_new by_generations cycles is_marking minors pauses stood_ns long_pauses read_journal used_bytes watch "
        "fix grow_within",
        "machine code that notes what it writes is on its way (ADR-0071)",
    ),
    ("heap/pages.py", "n_ready plant", "tests wait for a page, and have none moved"),
    ("module/reader.py", "call_slow", "tests have large pages come slowly"),
    ("native/background.py", "helper_status submit_at withdraw_at offer_at recall_at lend_at", NATIVE),
    ("native/execmem.py", "limit_arena arena_usage", NATIVE),
    ("native/queue.py", "is_idle", "tests wait for what is compiled ahead"),
    ("native/queue.py", "task_state", "tests wait for a piece to begin"),
    ("native/lift.py", "is_idle", "tests wait for what is compiled beside"),
    ("native/worker.py", "input generate retreats", "tests fill the SSA form, and count what level 1 gave up"),
    ("native/worker.pxd", "EMIT", "one of an enumeration that is complete"),
    ("targets/x64/pseudo.pxd", "ROT_RIGHT CC_NO CC_NS", "one of an enumeration that is complete"),
    ("targets/x64/select_base.pxd", "ANY_WIDTH", "the zero of its enumeration"),
    ("ir/passes/fold.py", "fold_bits", "what the C folds, for Python"),
    ("ir/passes/fold.py", "vector_bits", "the same of vectors"),
    ("ir/passes/*", "hoisted inlined promoted unrolled", "what a pass did, for ablation tests"),
    ("observe/prometheus.py", "register_plugins", "public: hosts show the plugins that they have"),
)
"""File below ``src/stratavm``, names, reason; both of the first may have wildcards."""
IGNORED: Final = ["__*__", "trace"]
"""Python's own protocols."""


@dataclass(frozen=True, slots=True, order=True)
class Dead:
    """A definition that nobody uses.

    Attributes:
        file, line: where; the file is relative to the root.
        name, kind: what.
        tested: tests use it, and nobody else.
    """

    file: str
    line: int
    name: str
    kind: str
    tested: bool

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {'only tests use' if self.tested else 'nobody uses'} the {self.kind} {self.name}"
        )


def blanked(text: str) -> str:
    """A ``.pxd`` without comments, strings and cimports; its lines keep their numbers."""
    for pattern in (NOT_CODE, CIMPORTS):
        text = pattern.sub(lambda match: "\n" * match[0].count("\n"), text)
    return text


def declarations(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, declared name (or nothing), and the rest of it, of each line of a ``.pxd``."""
    for number, line in enumerate(blanked(text).splitlines(), 1):
        match = DECLARED.match(line.rstrip())
        if match is None:
            yield number, "", line
        elif match["constant"]:
            yield number, match["constant"], match["value"]
        else:
            yield number, match["name"], match["before"] + match["after"]


def used_in(text: str) -> set[str]:
    """Names that a ``.pxd`` uses, beyond declaring them."""
    return {name for _, _, rest in declarations(text) for name in WORD.findall(rest)}


def offered(root: Path) -> set[str]:
    """What users may call: the names of the public API's snapshot, and those in examples of the documentation."""
    snapshot = root / "tests/arch/_gen_public_api.txt"
    texts = [snapshot.read_text()] if snapshot.is_file() else []
    for page in [*root.glob("*.md"), *root.glob("docs/**/*.md")]:
        texts += EXAMPLE.findall(page.read_text())
    return {name for text in texts for name in WORD.findall(text)}


def aliases_in(folder: Path) -> set[str]:
    """Names in types that are written as strings: ``X: TypeAlias = "A | B"``."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant):
                names.update(WORD.findall(str(node.value.value)) if ast.unparse(node.annotation) == "TypeAlias" else ())
    return names


def programs_in(folder: Path) -> set[str]:
    """Names in programs that tests keep as strings, for other processes."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
                names.update(WORD.findall(node.value))
    return names


def find(root: Path = ROOT) -> list[Dead]:
    """What is dead in ``src``."""
    source, tests = root / "src", root / "tests"
    headers = {path: path.read_text() for path in sorted(source.rglob("*.pxd")) if not path.name.startswith("_gen_")}
    used = offered(root) | aliases_in(source)
    for text in [*headers.values(), *(path.read_text() for path in source.rglob("*.py.in"))]:
        used |= used_in(text)
    reader = vulture.Vulture(ignore_names=IGNORED, ignore_decorators=REGISTERED)
    reader.scavenge([str(source), str(root / "tools")])
    by_us = accused(reader, root, headers, used)
    reader.scavenge([str(tests)])
    by_tests = accused(reader, root, headers, used | programs_in(tests))
    return sorted(Dead(*item, tested=item not in by_tests) for item in by_us)


Found: TypeAlias = set[tuple[str, int, str, str]]


def accused(reader: vulture.Vulture, root: Path, headers: dict[Path, str], used: set[str]) -> Found:
    """File, line, name and kind of definitions without a use, as far as has been read."""
    found = {
        (str(Path(item.filename).relative_to(root)), item.first_lineno, item.name, item.typ)
        for item in reader.get_unused_code(min_confidence=60)
        if Path(item.filename).is_relative_to(root / "src") and item.name not in used
    }
    for path, text in headers.items():
        for line, name, _ in declarations(text):
            if name and not name.startswith("__") and name not in used and name not in reader.used_names:
                found.add((str(path.relative_to(root)), line, name, "declaration"))
    return {item for item in found if not Path(item[0]).name.startswith("_gen_")}


def excuses(excuse: Excuse, dead: Dead) -> bool:
    """Whether an entry of ``KEPT`` is about this."""
    file, names, _ = excuse
    return fnmatch(dead.file, f"src/stratavm/{file}") and any(fnmatch(dead.name, name) for name in names.split())


def judge(found: list[Dead], kept: tuple[Excuse, ...] = KEPT) -> list[str]:
    """What is dead without an excuse, and excuses that excuse nothing."""
    accused = [str(dead) for dead in found if not any(excuses(excuse, dead) for excuse in kept)]
    idle = [e for e in kept if not any(excuses(e, dead) for dead in found)]
    return accused + [f"{file}, {names}: excused, but not dead" for file, names, _ in idle]


if __name__ == "__main__":
    problems = judge(find())
    print("\n".join(problems))
    sys.exit(bool(problems))
