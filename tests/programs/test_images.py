"""Real programs from images: the code is what is compiled afresh, and an edit gives what a full build gives."""

from __future__ import annotations

import pytest

from stratavm import Engine, Module
from stratavm.engine.aot import Order, build_module
from tests.bench.rebuild import LENGTHS, edited
from tests.programs.test_programs import SMT2, SVG, program, strata

PROGRAMS = {
    "icepll.wasm": ("-i", "12", "-o", "48"),
    "boolector.wasm": ("a.smt2",),
    "resvg.wasm": ("a.svg", "out.png"),
    "quickjs.wasm": ("-e", "console.log([1, 2, 3].map(x => x ** 0.5), 'a1b22'.replace(/[0-9]+/g, x => `<${x}>`))"),
    "python.wasm": ("-c", "import json; print(json.dumps({'a': [2 ** 0.5, sorted('strata')]}))"),
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A key of the test's own, and what the programs read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "a.svg").write_text(SVG)
    (tmp_path / "a.smt2").write_text(SMT2.format(extra=""))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_code_from_an_image_is_what_is_compiled_afresh(name, home):
    """Byte for byte, tables included; and the program prints, leaves and returns the same."""
    path, image = program(name), home / "app.strata"
    Module.build(path).serialize_file(image)
    fresh = Module(path, engine=Engine(tier="jit1"))
    report = fresh.compile_all()
    loaded = Module.deserialize_file(image, Engine(tier="jit1"))
    assert loaded.code.compiled == report.functions - len(report.fallbacks)
    assert loaded.code.pack_code(by_index=True) == fresh.code.pack_code(by_index=True)
    ran = []
    for what in (path, str(image)):
        (home / "out.png").unlink(missing_ok=True)
        done = strata("run", "--dir", f"{home}::/::rw", what, *PROGRAMS[name])
        drawn = (home / "out.png").read_bytes() if (home / "out.png").exists() else b""
        ran.append((done.returncode, done.stdout, done.stderr, drawn))
    assert ran[0] == ran[1] and (ran[0][1] or ran[0][3])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickjs.wasm", "python.wasm"])
@pytest.mark.parametrize("length", LENGTHS)
def test_an_edit_of_a_program_gives_what_a_full_build_gives(name, length, home):
    """One function is compiled, also where all that follows it lies elsewhere."""
    old, new = home / "old.strata", home / "new.wasm"
    Module.build(program(name)).serialize_file(old)
    with open(program(name), "rb") as file:
        index, binary = edited(file.read(), LENGTHS[length])
    new.write_bytes(binary)
    built, report = build_module(Module, new, Engine(), Order(old=old))
    first = len(built.model.imported_funcs)
    assert [(function - first, why) for function, _, why in report.compiled] == [(index, "its body changed")]
    assert built.serialize() == Module.build(new).serialize()
