"""Claims about what a model is told of a run, and of what it may give."""

import pytest

from stratavm.adapters.telling import ENDED, MOST_CHARS, clipped, ending, logs, told, unfit
from stratavm.sandbox import PythonCompleted, Raised


def done(stdout="", stderr="", code=0, reason="exit", message="", **more):
    """A run that has ended."""
    more = {"files": {}, **more}
    return PythonCompleted(stdout, stderr, code, reason, False, None, 0.5, message, **more)


def test_what_is_long_has_its_beginning_and_its_end():
    """And says how much is missing."""
    assert clipped("x" * 10, 10) == "x" * 10
    text = clipped("a" * 50 + "b" * 50, 10)
    assert text.startswith("aaaaa\n") and text.endswith("\nbbbbb") and "90 characters" in text
    assert len(logs(done("x" * 10**6, "y" * 10**6))) < MOST_CHARS + 100


def test_both_outputs_begin_lines():
    """The second follows the first."""
    assert logs(done("out", "err")) == "out\nerr"
    assert logs(done("out\n", "err")) == "out\nerr"
    assert (logs(done("", "err")), logs(done("out")), logs(done())) == ("err", "out", "")


def test_why_it_ended():
    """The exception, the limit, the code; and that a session is gone with it."""
    raised = Raised("ValueError", "no", "Traceback…", ())
    assert ending(done()) == ""
    assert ending(done(code=1, error=raised)) == "ValueError: no"
    assert ending(done(code=3)) == "it exited with code 3"
    stopped = ending(done(code=124, reason="timeout", message="too long"), "it was stopped")
    assert stopped.startswith("it was stopped (timeout): too long; its variables are lost")
    assert len(ending(done(code=1, error=Raised("E", "x" * 10**6, "", ())))) < 5000


def test_all_parts_of_a_run_are_told():
    """Each in a line of its own, or more."""
    files = {f"{number:03}.txt": b"x" for number in range(60)}
    text = told(done("out", value=[1, "two"], files=files, limits=("output", "files", "tools")))
    assert text.startswith("out\n[value] [1, 'two']\n[files] '000.txt' (1 bytes), ")
    assert text.count(".txt") == 50 and " and 10 more\n" in text and text.count("[limit]") == 3
    assert told(done(value="<object>", is_repr=True)) == "[value] <object>\n"
    assert told(done()) == "[no output]\n"
    assert told(done("out"), "it exited") == f"out\n{ENDED}"
    assert told(done(files={"a\nb": b""})) == "[files] 'a\\nb' (0 bytes)\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 10, ""),
        ("x" * 11, "more than 10 bytes"),
        ("é" * 6, "more than 10 bytes"),
        ("\ud800", "surrogate"),
        ("\uffff", "no character"),
    ],
)
def test_what_a_model_gives_is_text_of_bounded_length(text, why):
    """In bytes, as the guest gets it."""
    wrong = unfit("code", text, 10)
    assert why in wrong and bool(wrong) == bool(why) and (not wrong or wrong.startswith("code has"))


def test_controls_of_guests_are_shown_and_do_nothing():
    """In outputs, values, exceptions: a client may be a terminal. Ends of lines and tabulators stay."""
    text = told(done("a\tb\r\nc\rd\x1b[31m\0\n", "\x9b1m\x7f", value="\x1b]0;x\x07", is_repr=True))
    assert text == "a\tb\nc\\x0dd\\x1b[31m\\x00\n\\x9b1m\\x7f\n[value] \\x1b]0;x\\x07\n"
    assert ending(done(code=1, error=Raised("E", "\x1b[2J", "", ()))) == "E: \\x1b[2J"
    assert clipped("é 日本\u200d") == "é 日本\u200d"
