"""Claims about ``strata python``: what it runs, what the program sees, and what the shell sees."""

import base64
import json
import subprocess
import sys

import pytest

from tests import needed
from tests.programs.pythons import MODULE

pytestmark = pytest.mark.trace_slow


@pytest.fixture(autouse=True)
def guest():
    """The interpreter, where it is installed."""
    return needed.program(MODULE)


def test_code_and_files(strata, tmp_path):
    """With arguments, which may look like options; tracebacks name the file."""
    assert strata("python", "-c", "import sys; print(sys.argv, 6 * 7)", "a", "-b")[:2] == (0, "['-c', 'a', '-b'] 42\n")
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(sys.argv, __file__, len(open(__file__).read()))\n1 / 0\n")
    code, out, err = strata("python", str(script), "--x")
    assert (code, out) == (1, f"['script.py', '--x'] /script.py {script.stat().st_size}\n")
    assert 'File "script.py", line 3' in err and "    1 / 0\n" in err and "strata:" not in err


def test_a_program_lies_where_nothing_else_does(strata, tmp_path):
    """A folder that is given has its place; other code is no file."""
    script = tmp_path / "script.py"
    script.write_text("print('__file__' in globals(), open('/script.py/script.py').readline())")
    assert strata("python", "--grant", f"{tmp_path}::/script.py", str(script))[1].startswith("False print(")
    assert strata("python", "-c", "print('__file__' in globals())")[1] == "False\n"


def test_without_the_package_the_option_is_named(strata, monkeypatch):
    """Not the parameter."""
    monkeypatch.setattr("stratavm.sandbox.python.guests.PACKAGE", "no_such_package")
    code, _, err = strata("python", "-c", "1")
    assert code == 1 and "--guest MODULE" in err and "guest=" not in err


def test_standard_input_is_the_program_or_the_programs(process):
    """The program, with ``-``; else what it reads."""
    done = process("python", "-", "x", input=b"import sys; print(sys.argv, sys.stdin.read())")
    assert (done.returncode, done.stdout) == (0, b"['<stdin>', 'x'] \n")
    done = process("python", "-c", "print(input())", input=b"typed\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"typed\n", b"")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_ends_the_program(stream):
    """``| head -1``: 141 without a word, as of ``strata run``, whatever the program does about it."""
    code = f"""import sys
while True:
    try:
        print("y", file=sys.{stream})
    except BaseException:
        pass"""
    command = [sys.executable, "-m", "stratavm", "python", "--timeout", "60", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        read, other = process.stdout, process.stderr
        if stream == "stderr":
            read, other = other, read
        assert read.readline() == b"y\n"
        read.close()
        assert process.wait(timeout=60) == 141
        assert other.read() == b""


def test_what_it_is_given(strata, tmp_path, monkeypatch):
    """Folders and variables."""
    monkeypatch.setenv("KEPT", "here")
    (tmp_path / "x").write_text("x")
    code = (
        "import os; open('/data/y', 'w').write('y'); print(open('/data/x').read(), os.environ['KEPT'], os.environ['A'])"
    )
    given = ("--grant", f"{tmp_path}::/data::rw", "--env", "KEPT", "--env", "A=1")
    assert strata("python", *given, "-c", code) == (0, "x here 1\n", "")
    assert (tmp_path / "y").read_text() == "y"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--timeout", "0.3", "-c", "while True: pass"), 124, "raise --timeout"),
        (("--max-memory", "60M", "-c", "bytes(1 << 30)"), 134, "raise --max-memory"),
        (("-c", "raise SystemExit(7)"), 7, ""),
        ((), 2, "what is to be run?"),
        (("--seed", "1", "-c", "1"), 2, "--deterministic"),
        (("/none.py",), 1, "/none.py"),
        (("--guest", "/none.wasm", "-c", "1"), 1, "/none.wasm"),
        (("--grant", "/::/", "-c", "1"), 2, "--grant: a folder has a path of its own"),
        (("--grant", "./none", "-c", "1"), 2, "(hint: --grant ./none::/data)"),
        (("--grant", "./none::data", "-c", "1"), 2, "not data"),
    ],
)
def test_exit_codes(strata, words, code, said):
    """And what to do."""
    found, _, err = strata("python", *words)
    assert found == code and said in err


def test_json(strata):
    """Everything that became of it."""
    code, out, _ = strata("python", "--json", "--deterministic", "-c", "open('f', 'w').write('x'); [b'\\0', 1e999]")
    told = json.loads(out)
    assert (code, told["reason"], told["exit_code"], told["value"]) == (0, "exit", 0, [{"$bytes": "AA=="}, "inf"])
    assert base64.b64decode(told["files"]["f"]) == b"x" and told["error"] is None
    code, out, err = strata("python", "--json", "-c", "1 / 0")
    assert json.loads(out)["error"]["type"] == "ZeroDivisionError" and (code, err) == (1, "")


def test_a_file_that_is_no_text(strata, tmp_path):
    """It says where."""
    (tmp_path / "x.py").write_bytes(b"\xff")
    code, _, err = strata("python", str(tmp_path / "x.py"))
    assert code == 1 and "no UTF-8" in err and "byte 0" in err


def test_warm(strata):
    """What is loaded first does not count as the program, and is there for it."""
    code = "import sys; print('fractions' in sys.modules)"
    assert strata("python", "--warm", "import fractions", "-c", code) == (0, "True\n", "")
    code, _, err = strata("python", "--warm", "1 / 0", "-c", "1")
    assert code == 1 and "division by zero" in err
