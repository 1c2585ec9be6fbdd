"""Claims about the parts of the wall and of the process, each tried here instead of behind it."""

import ctypes
import errno
import io
import json
import marshal
import os
import signal
import struct
import sys

import pytest

import stratavm
from stratavm.cli import isolate
from stratavm.engine.plain import told_of
from stratavm.sandbox import child, isolated, landlock, privileges, report, syscalls, wall
from stratavm.sandbox.wall import Wall


@pytest.fixture
def kernel(monkeypatch):
    """A kernel of a given version of Landlock that notes what it is asked."""
    asked = []

    class Kernel:
        version = 7

        def call(self, number, *arguments):
            asked.append((number, *(a.value if isinstance(a, ctypes.c_char_p) else a for a in arguments)))
            if number == landlock.CREATE and arguments[0] is None:
                return self.version
            return os.open(os.devnull, os.O_RDONLY) if number == landlock.CREATE else 0

    made = Kernel()
    made.asked = asked
    monkeypatch.setattr(landlock, "_call", made.call)
    return made


@pytest.mark.parametrize(
    ("version", "size", "rights"),
    [
        (1, 8, 0x1FFF),
        (2, 8, 0x3FFF),
        (3, 8, 0x7FFF),
        (4, 16, 0x7FFF),
        (5, 16, 0xFFFF),
        (6, 24, 0xFFFF),
        (9, 24, 0xFFFF),
    ],
)
def test_each_version_of_landlock_gets_what_it_knows(kernel, version, size, rights):
    """No more, or it refuses; no less, or something stays possible."""
    kernel.version = version
    landlock.confine([], [])
    _, attributes, length, _ = kernel.asked[1]
    assert length.value == size
    if size == 8:  # a zero ends what ctypes shows
        assert int.from_bytes(attributes.ljust(8, b"\0")[:8], "little") == rights
    else:
        assert struct.unpack_from("<Q", attributes.ljust(24, b"\0"))[0] == rights
    assert kernel.asked[-1][0] == landlock.RESTRICT


def test_rules_of_landlock(kernel, tmp_path):
    """Folders get what is asked, files what means something for files, absent ones nothing."""
    (tmp_path / "file").touch()
    kernel.version = 1
    kernel_rules = []
    call = landlock._call

    def note(number, *arguments):
        if number == landlock.ADD:
            kernel_rules.append(struct.unpack("<Qi", ctypes.string_at(arguments[2], 12))[0])
        return call(number, *arguments)

    landlock._call = note
    try:
        landlock.confine([str(tmp_path), str(tmp_path / "file"), str(tmp_path / "absent")], [str(tmp_path)])
    finally:
        landlock._call = call
    writing = landlock.WRITING & 0x1FFF
    assert kernel_rules == [landlock.READING, landlock.READ_FILE, writing]


def test_a_kernel_without_landlock(kernel):
    """Says so."""
    kernel.version = 0
    with pytest.raises(landlock.Absent, match="no Landlock"):
        landlock.confine([], [])


def test_a_call_that_the_kernel_lacks():
    """Is an error with its number."""
    with pytest.raises(OSError) as caught:
        landlock._call(100_000)
    assert caught.value.errno == errno.ENOSYS


@pytest.fixture
def steps(monkeypatch):
    """The steps of the wall, noted instead of taken."""
    taken = []
    for module, name in [
        (privileges, "no_new_privileges"),
        (privileges, "not_dumpable"),
        (privileges, "drop_capabilities"),
        (landlock, "confine"),
        (syscalls, "install_filter"),
    ]:
        monkeypatch.setattr(module, name, lambda *arguments, name=name: taken.append((name, *arguments)))
    monkeypatch.setattr(wall, "limit_resources", lambda limits: taken.append(("limits", limits)) or [])
    monkeypatch.setattr(os, "listdir", lambda path, listed=os.listdir: ["1"] if "task" in str(path) else listed(path))
    return taken


def test_the_order_of_the_steps(steps):
    """The filter comes last, since it refuses the other steps; root keeps to open files what paths confine."""
    given = Wall(readable=("/in",), writable=("/out",))
    assert wall.raise_wall(given) == []
    names = [name for name, *_ in steps]
    assert names == [
        "limits",
        "no_new_privileges",
        "not_dumpable",
        "confine",
        "drop_capabilities",
        "install_filter",
    ]
    readable, writable = steps[3][1:]
    assert readable[-1] == "/in"
    assert os.path.dirname(stratavm.__file__) in readable
    assert writable == (os.devnull, "/out")
    assert steps[4][1] == privileges.OWN_FILES


def test_where_paths_are_not_confined_root_keeps_nothing(steps, monkeypatch):
    """It would else read the files of every user."""

    def absent(*_):
        raise landlock.Absent("the kernel has no Landlock")

    monkeypatch.setattr(landlock, "confine", absent)
    assert wall.raise_wall(Wall()) == ["any path may be opened (the kernel has no Landlock)"]
    assert steps[3] == ("drop_capabilities", ())


def test_every_step_may_fail(steps, monkeypatch):
    """And each failure is told."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    for module, name in [(privileges, "no_new_privileges"), (privileges, "drop_capabilities"), (wall, "_filter")]:
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(wall.ctypes, "CDLL", refuse)
    assert wall.raise_wall(Wall()) == [
        "privileges may be gained (Operation not permitted)",
        "capabilities stay (Operation not permitted)",
        "any system call may be made (Operation not permitted)",
    ]


def test_without_proc_nothing_is_known(monkeypatch):
    """Then the limit of tasks is a small one, and one thread is believed."""

    def absent(*_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "listdir", absent)
    monkeypatch.setattr(os, "scandir", absent)
    assert wall._alone()
    assert wall._tasks_of_user() == 1
    monkeypatch.undo()
    assert wall._tasks_of_user() >= 1


def test_a_call_that_fails_is_an_error():
    """With the system's words."""
    ctypes.set_errno(errno.EPERM)
    with pytest.raises(PermissionError):
        privileges._check(-1)


@pytest.fixture
def apart(monkeypatch):
    """The first function of a process, here."""
    monkeypatch.setattr(privileges, "die_with", lambda parent: None)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def start_here(monkeypatch, entry, data):
    """Call ``child.main`` as the new process would."""
    request = os.memfd_create("request")
    os.write(request, marshal.dumps((entry, data)))
    os.lseek(request, 0, os.SEEK_SET)
    monkeypatch.setattr(sys, "argv", ["-c", str(os.getppid()), str(request)])
    monkeypatch.setattr(child, "_first_to_be_killed", lambda: None)
    return child.main()


def test_the_first_function_of_a_process(apart, monkeypatch):
    """It calls what was asked for, and Ctrl-C counts once from then on."""
    monkeypatch.setattr(isolate, "raise_wall", lambda _: [])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert start_here(monkeypatch, "builtins:len", {"a": 1, "b": 2}) == 2
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def reported(monkeypatch, **changes):
    """What ``isolated.inside`` reports of a run, here."""
    reading, writing = os.pipe()
    monkeypatch.setattr(isolated, "raise_wall", lambda made: [repr(made.readable)])
    data = {"module": '(module (func (export "_start")))', "args": (), "env": {}, "files": None, "folders": []}
    data |= {"timeout": None, "fuel": 10, "max_memory": None, "max_output": 0, "threads": 0, "name": "x", "stdin": b""}
    data |= {"options": told_of(stratavm.Config(fuel=True)), "report": writing, **changes}
    assert isolated.inside(data) == 0
    with open(reading, "rb") as report:
        return [json.loads(line) for line in report]


def test_the_report_of_a_process(monkeypatch, tmp_path):
    """What is weaker, then how it ended."""
    started, begun, ended = reported(monkeypatch, folders=[(str(tmp_path), "/d", False)], tier="oracle")
    assert started == {"problems": [repr((str(tmp_path),))]}
    assert begun == report.BEGUN
    assert (ended["reason"], ended["fuel_used"]) == ("exit", 0)


def test_the_report_of_an_error(monkeypatch):
    """What the arguments caused comes back as the same exception."""
    _, told = reported(monkeypatch, module="(module")
    error = report.error_of(told["error"])
    assert isinstance(error, stratavm.ParseError)
    assert error.line == 1
    _, told = reported(monkeypatch, module="absent.wasm", stdin=None)
    error = report.error_of(told["error"])
    assert (type(error), error.filename) == (FileNotFoundError, "absent.wasm")


def test_the_report_of_ctrl_c(monkeypatch):
    """An interrupt."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(isolated, "execute", interrupt)
    _, ended = reported(monkeypatch)
    assert ended["reason"] == "interrupt"


def test_the_command_in_its_process(monkeypatch, tmp_path, capfd):
    """What is weaker is said, then it runs as ever."""
    from stratavm.cli.argparser import parse
    from stratavm.cli.main import perform

    path = tmp_path / "a.wat"
    path.write_text('(module (func (export "_start") unreachable))')
    monkeypatch.setattr(isolate, "raise_wall", lambda _: ["any path may be opened"])
    assert isolate.inside(vars(parse("run", [str(path)]))) == 134
    assert "isolation is weaker here: any path may be opened" in capfd.readouterr().err
    assert callable(perform)


def test_input_that_gives_no_bytes():
    """A file in memory is read before the process starts."""

    class Text(io.RawIOBase):
        def readable(self):
            return True

        def read(self, size=-1):
            return "text"

    with pytest.raises(TypeError, match="stdin must give bytes"):
        stratavm.run("(module)", stdin=Text(), isolate=True)
