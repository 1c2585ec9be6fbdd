"""Claims about the gates: each one really fails on what it is there to stop."""

import subprocess

import pytest

from tools import gates, gen


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """An empty git repository that the gates take for the project."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(gates, "ROOT", tmp_path)
    (tmp_path / "src").mkdir()
    return tmp_path


def test_a_file_of_a_thousand_lines_fails(tree, capsys):
    """999 lines pass with a warning, 1000 do not; generated files are counted apart."""
    (tree / "src/long.py").write_text("x = 1\n" * 999)
    (tree / "src/_gen_table.py").write_text("x = 1\n" * 5000)
    assert not gates.sizes().problems
    assert "src/long.py has 999 lines" in capsys.readouterr().out
    (tree / "src/long.py").write_text("x = 1\n" * 1000)
    assert gates.sizes().problems == ("src/long.py: 1000 lines",)


def test_repeated_code_fails(tree):
    """Two files that are the same are half duplicated."""
    text = "".join(f"def f{i}(a, b):\n    return a * {i} + b\n\n" for i in range(20))
    (tree / "src/a.py").write_text(text)
    assert gates.duplicated().problems == ()
    (tree / "src/b.py").write_text(text)
    assert gates.duplicated().problems


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X"])
def test_a_note_to_oneself_fails(tree, word):
    """The line is named."""
    (tree / "src/a.py").write_text(f"x = 1\n# {word}: later\n")
    assert gates.unfinished().problems == (f"src/a.py:2: # {word}: later",)


def test_too_many_pragmas_fail(tree):
    """Twenty are allowed."""
    line = "x = 1  # pragma: no cover\n"
    (tree / "src/a.py").write_text(line * 20)
    assert not gates.pragmas().problems
    (tree / "src/a.py").write_text(line * 21)
    assert gates.pragmas().problems


def test_an_outdated_generated_file_is_reported(tmp_path, monkeypatch):
    """In check mode nothing is written, and the file is named."""
    monkeypatch.setattr(gen, "ROOT", tmp_path)
    monkeypatch.setattr(gen, "CHECK_ONLY", True)
    monkeypatch.setattr(gen, "outdated", [])
    assert gen.write("a/_gen_x.py", "x = 1\n")
    assert gen.outdated == ["a/_gen_x.py"]
    assert not (tmp_path / "a").exists()


def test_an_import_upwards_breaks_the_contract(tmp_path):
    """The layers contract, run on a copy whose ``base`` imports ``engine``."""
    import shutil
    import sys
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    shutil.copytree(root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / "src/stratavm/base/upwards.py").write_text("import stratavm.engine\n")
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": "src"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "stratavm.base.upwards" in done.stdout
