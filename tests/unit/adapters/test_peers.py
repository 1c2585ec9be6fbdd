"""Claims about adapters whose packages are absent, or of another version."""

import re
import subprocess
import sys
import tomllib

import pytest

from stratavm.adapters.peers import WANTED


@pytest.mark.parametrize("adapter", sorted(WANTED))
def test_what_is_absent_is_said_with_the_line_that_installs_it(adapter):
    """In an interpreter where the package cannot be imported; others need it not."""
    code = f"import sys; sys.modules[{adapter!r}] = None\nimport stratavm.sandbox\nimport stratavm.adapters.{adapter}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": "src"})
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(rf"ImportError: stratavm\.adapters\.{adapter} needs .*: pip install '.*' \(", last), done.stderr
    assert WANTED[adapter] in last


def test_an_older_package_is_named(tmp_path):
    """It has other modules: the message says which one is missed, and what is wanted."""
    package = tmp_path / "mcp"
    package.mkdir()
    (package / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport stratavm.adapters.mcp"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": "src"})
    last = done.stderr.strip().splitlines()[-1]
    assert "needs mcp>=2" in last and "No module named 'mcp.server'" in last


def test_the_extras_say_the_same(root):
    """One for each adapter."""
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name: extras[name.replace("_", "-")] for name in WANTED} == {name: [want] for name, want in WANTED.items()}


def test_no_adapter_is_loaded_by_itself():
    """Neither by the package nor by the sandbox."""
    code = "import stratavm, stratavm.adapters, stratavm.sandbox.python.entry, sys\n"
    code += "print([n for n in sys.modules if n.split('.')[0] in ('mcp', 'smolagents', 'pydantic_ai', 'pydantic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": "src"})
    assert done.stdout == "[]\n", done.stderr
