"""Claims about the report of a process of its own: what of it is believed."""

import json
import os

import pytest

import stratavm
from stratavm.base.forms import replace
from stratavm.engine.plain import told_of
from stratavm.sandbox import execute, isolated, report
from stratavm.sandbox.arguments import Arguments
from stratavm.sandbox.request import checked


def asked(**changes) -> Arguments:
    """What a run was asked for."""
    names = ("timeout", "fuel", "max_memory", "max_output", "threads")
    limits = dict.fromkeys(names) | {"max_output": 10, "threads": 0} | changes
    return checked("(module)", ([], None, None), (None, None), tuple(limits[name] for name in names))


END = {"code": 0, "reason": "exit", "message": "", "fuel_used": None, "seconds": 1.0}
WEAKER = {"problems": ["x"]}


@pytest.mark.parametrize(
    ("says", "changes"),
    [
        ({"fuel_used": 5}, {}),
        ({"fuel_used": 11}, {"fuel": 10}),
        ({"reason": "timeout", "code": 124}, {}),
        ({"reason": "fuel", "code": 134}, {}),
        ({"seconds": 2.5}, {}),
        ({"seconds": 1}, {}),
        ({"more": 5}, {}),
    ],
)
def test_an_end_that_such_a_run_cannot_have_is_not_believed(says, changes):
    """Fuel that was not given, or more of it, limits that there are not, a time longer than the parent's."""
    assert report.ended_of({**END, **says}, asked(**changes), 2.0) is None
    fine = {name: value for name, value in END.items() if name not in says or name in ("code", "seconds")}
    assert report.ended_of({**END, **fine}, asked(**changes), 2.0) is not None


def test_an_exit_has_no_message():
    """Whatever the process says."""
    assert report.ended_of({**END, "message": "you won"}, asked(), 2.0).message == ""


def lines(*facts) -> bytes:
    """A report."""
    return b"".join(json.dumps(fact).encode() + b"\n" for fact in facts)


ERROR = {"error": {"type": "ValueError", "message": "from the guest"}}


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        (lines(WEAKER, END), True),
        (lines(WEAKER, report.BEGUN, END), True),
        (lines(WEAKER, report.BEGUN, ERROR), False),
        (lines(WEAKER, report.BEGUN, END, END), False),
        (lines(WEAKER, report.BEGUN, report.BEGUN, END), False),
        (lines(WEAKER, END, ERROR), False),
        (lines(WEAKER, {"begun": 1, "x": 2}, END), False),
        (lines(WEAKER, {**ERROR, "x": 2}), False),
        (lines(WEAKER, END)[:-1], False),
        (lines(WEAKER, report.BEGUN), False),
        (lines(WEAKER), False),
    ],
)
def test_an_error_is_believed_before_the_guest_began_only(said, ended):
    """What it says later may be the guest's: it ends the run, and raises nothing. Nor does it count twice."""
    told = report.believed(said, asked(), 2.0)
    assert (told.started, told.problems, told.ended is not None) == (True, ("x",), ended)


@pytest.mark.parametrize("said", [b"", b"x", lines(ERROR), lines({"problems": [5]}), lines({**WEAKER, **ERROR})])
def test_a_process_that_does_not_say_what_comes_first_has_not_started(said):
    """Nothing that it says then counts."""
    assert report.believed(said + lines(END), asked(), 2.0) == report.Told()


def test_what_the_arguments_caused_is_raised():
    """It was found before the guest began."""
    with pytest.raises(ValueError, match="from the guest"):
        report.believed(lines(WEAKER, ERROR), asked(), 2.0)


@pytest.mark.parametrize(
    "says", [{}, {"type": "ModuleError"}, {"message": "you lost"}, {"facts": {"hint": "call me"}}, {"more": 1}]
)
def test_of_errors_of_a_guest_that_has_begun_one_is_believed(says):
    """Word for word, and where nothing follows it."""
    said = lines(WEAKER, report.BEGUN, {"error": report.LATE | says})
    if says:
        assert report.believed(said, asked(), 2.0).ended is None
    else:
        with pytest.raises(stratavm.LinkError, match="exports no memory"):
            report.believed(said, asked(), 2.0)
        assert report.believed(said + lines(END), asked(), 2.0).ended is None


def test_what_fails_in_the_process_is_not_written_for_the_guest(tmp_path, monkeypatch, capfd):
    """An error of ours ends the run with a line of its own."""

    def fails(given, engine, streams, begun):
        begun()
        raise RuntimeError("of ours")

    monkeypatch.setattr(isolated, "execute", fails)
    monkeypatch.setattr(isolated, "raise_wall", lambda wall: [])
    given = asked()
    data = {name: getattr(given, name) for name in (*isolated.PLAIN, "module")}
    with open(tmp_path / "said", "w+b") as said:
        data |= {"stdin": b"", "folders": [], "options": told_of(stratavm.Config()), "report": os.dup(said.fileno())}
        assert isolated.inside(data) == 0
        said.seek(0)
        ended = report.believed(said.read(), given, 2.0).ended
    assert (ended.reason, ended.message) == ("trap", "the host failed: RuntimeError: of ours")
    assert capfd.readouterr() == ("", "")


def test_a_guest_begins_when_its_imports_are_there():
    """Until then what is wrong is an error, in either process."""
    began = []
    given = checked('(module (import "a" "b" (func)) (func (export "_start")))', ([], None, None), (None, None),
                    (None, None, None, 10, 0))  # fmt: skip
    streams = execute.Streams(None, None, None)
    with pytest.raises(stratavm.LinkError, match=r"a\.b"):
        execute.execute(given, stratavm.Engine(), streams, lambda: began.append(1))
    assert began == []
    started = replace(given, module='(module (func $s unreachable) (start $s) (func (export "_start")))')
    assert execute.execute(started, stratavm.Engine(), streams, lambda: began.append(1)).reason == "trap"
    assert began == [1]
