"""What ``stratavm.run`` says to somebody who got something nearly right, or whose program failed."""

from __future__ import annotations

import pytest

import stratavm


def test_a_module_whose_ending_was_forgotten_is_named(tmp_path):
    """In a note, since the error is the system's."""
    (tmp_path / "app.wat").write_text("(module)")
    with pytest.raises(FileNotFoundError) as caught:
        stratavm.run(str(tmp_path / "app"))
    assert caught.value.__notes__ == [f"did you mean '{tmp_path / 'app.wat'}'?"]
    with pytest.raises(FileNotFoundError) as caught:
        stratavm.load(str(tmp_path / "other"))
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("Traceback:\n  File x\nValueError: 5\n", "ValueError: 5"),
        ("TypeError: no x\n    at f (y:1)\n    at g\n", "TypeError: no x"),
        ("   all of it\n   is indented\n", "   is indented"),
    ],
)
def test_the_last_words_of_a_program_are_its_error(stderr, words):
    """Python says it last, JavaScript above its stack."""
    done = stratavm.Completed("", stderr, 1, "exit", False, None, 0.1)
    with pytest.raises(stratavm.GuestFailed) as caught:
        done.check()
    assert str(caught.value).endswith(f"the last words of its standard error: {words}")


def test_the_repr_of_what_became_of_a_program_is_short():
    """On CPython 3.11 ``asyncio.run`` asks for it, and a guest chooses how much it writes."""
    done = stratavm.Completed("short", "x" * 10_000_000, 1, "trap", True, 5, 0.5, "it trapped")
    assert repr(done).startswith("Completed(stdout='short', stderr='xxx") and "' and 9999600 more, code=1" in repr(done)
    assert repr(done).endswith("reason='trap', truncated=True, fuel_used=5, seconds=0.5, message='it trapped')")
    assert len(repr(done)) < 700 and "stdout=b'ab'," in repr(
        stratavm.Completed(b"ab", b"", 0, "exit", False, None, 0.1)
    )


BYTES = '(module (memory (export "memory") 1 (pagesize 1)) (func (export "_start") (drop (memory.size))))'


def test_a_program_that_needs_what_is_there_on_request_is_run_as_the_hint_says():
    """By an engine that has it, which ``run`` gets with the module."""
    with pytest.raises(stratavm.ValidationError) as caught:
        stratavm.run(BYTES)
    said = caught.value.hint.splitlines()[0]
    assert said == (
        "on request: features=Config().features | {'custom-page-sizes'}, of load() or the Engine of a Module that "
        "run() is given; for a command: --proposal custom-page-sizes"
    )
    features = stratavm.Config().features | {"custom-page-sizes"}
    assert stratavm.run(stratavm.Module(BYTES, engine=stratavm.Engine(features=features))).reason == "exit"
    assert "_start" in stratavm.load(BYTES, features=features).exports


@pytest.mark.parametrize(
    ("option", "advice"),
    [("features", r"Engine\(features=…\)"), ("gc", r"Engine\(…\)"), ("tier", r"Engine\(…\)")],
)
def test_an_option_of_an_engine_comes_with_the_module(option, advice):
    """As ``run`` says to who gives it one."""
    with pytest.raises(TypeError, match=rf"'{option}'; give Module\(path, engine={advice}\) in the place of the path"):
        stratavm.run(BYTES, **{option: None})
