"""``strata info`` on what cannot run: invalid, damaged, of proposals that are not there, with imports nobody offers."""

from __future__ import annotations

import json

import pytest

from stratavm.module.needs import proposals
from stratavm.module.parser import parse_wat_to_bytes

COMPONENT = b"\0asm\x0d\0\1\0" + b"\x01\x08\0asm\1\0\0\0" + b"\0\x05\x04name"
PARTS = '(import "env" "log" (func (param i32))) (memory (export "m") 1) (func (export "f") %s)'


@pytest.fixture
def info(strata, tmp_path):
    """What the command says of a binary: its text, and its data."""

    def run(binary: bytes):
        path = tmp_path / "x.wasm"
        path.write_bytes(binary)
        code, out, err = strata("info", str(path))
        assert (code, err) == (0, "")
        return out, json.loads(strata("info", "--json", str(path))[1])

    return run


@pytest.mark.parametrize(
    ("body", "problem", "needed"),
    [
        ("(drop)", "type mismatch", []),
        ("(drop (ref.i31 (i32.const 0)))", None, ["gc"]),
        ("(drop (i32.atomic.load (i32.const 0))) (drop (ref.i31 (i32.const 0)))", None, ["gc", "atomics"]),
        ("(drop (ref.i31 (i32.const 0))) (drop)", "type mismatch", ["gc"]),
        ("(drop (i32.extend8_s (i32.const 0)))", None, ["sign-extension"]),
    ],
)
def test_a_module_is_described_whether_it_can_run_or_not(info, body, problem, needed):
    """Imports, exports, proposals; and why it cannot run."""
    out, facts = info(parse_wat_to_bytes(f"(module {PARTS % body})"))
    assert facts["kind"] == "module"
    assert facts["proposals"] == needed
    assert [row[0] for row in facts["imports"]] == ["env.log"]
    assert [row[0] for row in facts["exports"]] == ["m", "f"]
    assert facts["missing imports"] == [["env", "log"]]
    assert any("cannot run" in p and problem in p for p in facts["problems"]) if problem else "cannot run" not in out
    assert "does not offer 1 of its imports" in out


@pytest.mark.parametrize("cut", [1, 10, 25])
def test_a_damaged_module_is_described_as_far_as_it_reads(info, cut):
    """Its first sections, and where it ends."""
    binary = parse_wat_to_bytes(f"(module {PARTS % '(nop) (nop) (nop)'})")
    _, facts = info(binary[:-cut])
    assert any("cannot run" in p for p in facts["problems"])
    assert facts["sections"]
    assert [row[0] for row in facts["imports"]] == ["env.log"]


def test_a_component_is_called_one(info):
    """With its own kinds of sections."""
    out, facts = info(COMPONENT)
    assert out.startswith("component\n")
    assert facts["sections"][0][0] == "core module"
    assert "component" in facts["problems"][0]


WRITE = '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32%s) (result i32)))'


def test_an_import_of_another_type_is_not_called_offered(info, strata, tmp_path):
    """``strata run`` refuses it with the same two types."""
    out, facts = info(parse_wat_to_bytes(f'(module {WRITE % ""} (func (export "_start")))'))
    assert facts["imports"][0][-1] == "offered as (i32, i32, i32, i32) -> i32"
    assert (facts["missing imports"], facts["mismatched imports"]) == ([], [["wasi_snapshot_preview1", "fd_write"]])
    assert "strata run does not offer 1 of its imports" in out
    err = strata("run", str(tmp_path / "x.wasm"))[2]
    assert "expected (i32, i32) -> i32, found (i32, i32, i32, i32) -> i32" in err
    _, facts = info(parse_wat_to_bytes(f"(module {WRITE % ' i32 i32'})"))
    assert (facts["imports"][0][-1], facts["problems"]) == ("offered by strata run", [])


@pytest.mark.parametrize(
    ("exports", "role"),
    [
        ('(func (export "_start"))', "program"),
        ('(func (export "_initialize")) (func (export "f"))', "reactor"),
        ('(func (export "_initialize") (export "_start"))', "program"),
        ('(func (export "f"))', "library"),
        ('(memory (export "_start") 1)', ""),
    ],
)
def test_the_role_of_a_module_is_named(info, exports, role):
    """What ``strata run`` would do with it."""
    out, facts = info(parse_wat_to_bytes(f"(module {exports})"))
    assert facts["role"] == role
    assert f"role       {role}: " in out if role else "role" not in out


def test_threads_are_named(info):
    """What a program imports for them is offered, and how many there may be."""
    memory = '(import "env" "memory" (memory 1 2 shared))'
    out, facts = info(
        parse_wat_to_bytes(
            f"""(module {memory} (import "wasi" "thread-spawn" (func (param i32) (result i32)))
                (import "wasi" "other" (func)) (func (export "_start")))"""
        )
    )
    assert facts["threads"]
    assert [row[-1] for row in facts["imports"]] == ["offered by strata run", "offered by strata run", "missing"]
    assert "threads    besides its first, 64 at once: `strata run --threads N` lets it have N" in out
    out, facts = info(parse_wat_to_bytes(f"(module {memory})"))
    assert (facts["threads"], facts["imports"][0][-1]) == (False, "missing")
    assert "threads  " not in out


@pytest.mark.parametrize(
    "text",
    [
        '(module\n  (func (export "_start") (result i32)\n    (i64.const 1)))',
        '(module\n  (memory 1 (pagesize 1))\n  (func (export "_start")))',
        "(module\n  (func (drop (ref.i31 (i64.const 0)))))",
    ],
)
def test_an_error_of_a_text_is_the_one_of_run(strata, tmp_path, text):
    """Line, column, caret and advice; no offset in a binary that nobody has."""
    path = tmp_path / "x.wat"
    path.write_text(text)
    told = strata("run", str(path))[2].removeprefix(f"strata: {path}: ")
    code, out, _ = strata("info", str(path))
    assert code == 0 and f"it cannot run: {told}" in out and "^" in told


@pytest.mark.parametrize(
    ("text", "said", "advice"),
    [
        ("(memory 1 (pagesize 1))", "a page size needs the proposal custom-page-sizes", "pages of 64 KiB"),
    ],
)
def test_what_is_there_on_request_is_told_with_who_makes_it(strata, tmp_path, text, said, advice):
    """It is a proposal, in a binary as in a text, which can do without."""
    (tmp_path / "x.wasm").write_bytes(parse_wat_to_bytes(f"(module {text})"))
    for command in ("run", "info"):
        _, out, err = strata(command, str(tmp_path / "x.wasm"))
        assert said in out + err
        assert advice in out + err


def test_what_is_no_webassembly_is_an_error(strata, tmp_path):
    """It says what it is instead."""
    (tmp_path / "x").write_bytes(b"\x1f\x8b" + bytes(50))
    code, out, err = strata("info", str(tmp_path / "x"))
    assert (code, out) == (1, "")
    assert "gzip" in err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(module)", ()),
        ("(module (func (result i32 i32) (i32.const 1) (i32.const 2)))", ("multi-value",)),
        ("(module (memory 1) (memory 1))", ("multi-memory",)),
        ("(module (memory i64 1) (func (return_call 0)))", ("tail-call", "memory64")),
        ('(module (import "a" "b" (global (mut i32))))', ("mutable-globals",)),
        ("(module (type (struct)) (func (drop (i32.const 1)) (drop)))", ("gc",)),
    ],
)
def test_proposals_are_found(text, found):
    """Ours and others', in types, imports and code; an invalid body ends the search, no more."""
    assert proposals(parse_wat_to_bytes(text)) == found


BYTES = '(module (memory 1 (pagesize 1)) (func (export "f") (result i32 i32) memory.size memory.size))'
PAGES = "custom-page-sizes"
ASKED = f"it needs the proposal {PAGES}, which Strata has on request only: --proposal {PAGES}"


def test_a_proposal_that_was_asked_for_is_no_problem(strata, tmp_path):
    """What runs then is not said to be missing; without, it is said once, with how to ask."""
    path = tmp_path / "x.wat"
    path.write_text(BYTES)
    asked, plain = (json.loads(strata("info", "--json", *more, str(path))[1]) for more in (["--proposal", PAGES], []))
    assert asked["problems"] == [] and asked["proposals"] == plain["proposals"] and PAGES in asked["proposals"]
    (problem,) = plain["problems"]
    assert problem.startswith("it cannot run: ") and "on request: " in problem and f"--proposal {PAGES}" in problem


@pytest.mark.parametrize(("more", "said"), [([], [ASKED]), (["--proposal", PAGES], [])])
def test_how_to_ask_is_said_too_where_something_else_is_wrong(strata, tmp_path, more, said):
    """Of a module that ends too early, only as long as nobody has asked."""
    path = tmp_path / "x.wasm"
    path.write_bytes(parse_wat_to_bytes(BYTES)[:-1])
    first, *others = json.loads(strata("info", "--json", *more, str(path))[1])["problems"]
    assert "cannot run" in first and "--proposal" not in first
    assert others == said


NAMED = """(module
  (type $p (struct)) (type (array i8))
  (import "a" "f" (func (param (ref $p)) (result (ref null 1))))
  (import "a" "g" (global (ref $p)))
  (func (export "make") (result (ref null $p)) (struct.new $p))
  (table (export "rows") 1 (ref null $p))
  (global (export "on-off") (mut (ref null 1)) (ref.null 1)))"""


def test_types_are_shown_by_their_names(strata, tmp_path):
    """Those that have one; in stubs, too."""
    path = tmp_path / "x.wat"
    path.write_text(NAMED)
    facts = json.loads(strata("info", "--json", str(path))[1])
    assert [row[2] for row in facts["imports"]] == ["((ref $p)) -> (ref null 1)", "(ref $p)"]
    assert [row[2] for row in facts["exports"]] == [
        "() -> (ref null $p)",
        "table 1.. (ref null $p)",
        "mut (ref null 1)",
    ]
    strata("stubs", str(path))
    stubs = path.with_suffix(".pyi").read_text()
    assert "rows: Table  # table 1.. (ref null $p)\n" in stubs
    assert "'on-off': mut (ref null 1)\n" in stubs
