"""Claims about frames from a guest: what is read of them, and what is refused before it costs."""

import json
import tracemalloc

import pytest

from stratavm.sandbox.python import frames
from stratavm.sandbox.python.frames import Malformed, answer_of, parse, plain


def answer(**parts):
    """A frame of a driver."""
    return json.dumps({"n": 1, "code": 0, **parts}).encode()


def test_an_answer():
    """Task, exit code, value, and an error as data."""
    found = answer_of(answer(value={"a": [1, {"$bytes": "AP8="}]}))
    assert (found.task, found.code, found.value, found.is_repr, found.error) == (
        1,
        0,
        {"a": [1, b"\0\xff"]},
        False,
        None,
    )
    raised = {"type": "E", "module": "m", "message": "x", "traceback": "t", "frames": [["f", 3, "g"], ["f", -1, "g"]]}
    error = answer_of(answer(code=1, error=raised)).error
    assert (error.type, error.message, error.traceback) == ("m.E", "x", "t")
    assert [(f.file, f.line, f.function) for f in error.frames] == [("f", 3, "g"), ("f", 0, "g")]
    assert answer_of(answer(repr="<x>")).value == "<x>"


@pytest.mark.parametrize("task", [0, 1, 7, 10, 99_999_999, 10**8, 10**9, 1 << 40])
@pytest.mark.parametrize("code", [0, 1, 9, 10, 255, 999, 1000, (1 << 32) - 1])
def test_answers_without_a_value(task, code):
    """Are read in the same way, whatever they are written like."""
    usual = b'{"n": %d, "code": %d}' % (task, code)
    found = [answer_of(data) for data in (usual, usual.replace(b" ", b""), usual[:-1] + b', "value": null}')]
    assert found == [frames.Answer(task, code, None, False, None)] * 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"n": 01, "code": 0}',
        b'{"n": 1, "code": 00}',
        b'{"n": 1, "code": 4294967296}',
        b'{"n": 1, "code": -1}',
        b'{"n": 1, "code": 0}\n{}',
        b"[]",
        b"null",
        b"{",
        b'{"n": 1',
        b'{"n": 1, "code": 0, "value": \xff}',
        answer(n="1"),
        answer(n=True),
        answer(code=-1),
        answer(code=1 << 32),
        answer(code=1.0),
        answer(repr=5),
        answer(code=1, error=[]),
        answer(code=1, error={"type": 5}),
        answer(code=1, error={"type": "E", "frames": [[]]}),
        answer(code=1, error={"type": "E", "frames": [["f", 1, "g"]] * 101}),
        answer(code=1, error={"type": "E", "frames": {}}),
        answer(code=0, error={"type": "E"}),
        answer(value={"$bytes": 5}),
        answer(value={"$bytes": "é"}),
        answer(value={"$bytes": "A"}),
        answer(value={"$bytes": "AA==", "x": 1}),
        answer(value={"$dict": [["a"]]}),
        answer(value={"$dict": [[1, 2]]}),
        answer(value={"$dict": {}}),
        answer(value={"$odd": 1}),
        b'{"n": 1, "code": 0, "value": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_answer(data):
    """Each is refused, by one exception."""
    with pytest.raises(Malformed):
        answer_of(data)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":['])
def test_depth_is_bounded(opening):
    """Before the parser sees it."""
    for times in (80, 5000, 1 << 20):
        with pytest.raises(Malformed, match=r"deeper|items"):
            parse(b'{"x": "' + b"y" * 600 + b'", "v": ' + opening * times)


def test_the_number_of_items_is_bounded():
    """Commas and brackets inside of strings are none."""
    with pytest.raises(Malformed, match="items"):
        parse(b'{"v": [' + b"[]," * 120_000 + b"0]}")
    text = "[,{" * 200_000
    assert parse(json.dumps({"v": text}).encode())["v"] == text


@pytest.mark.parametrize("tail", [b"", b"\\", b'\\"' * 500_000, b'"a' * 500_000, b"\\" * 1_000_001])
def test_strings_without_an_end_take_no_longer(tail):
    """The look at the structure goes once over the bytes."""
    with pytest.raises(Malformed):
        parse(b'{"v": "' + b"x" * 1000 + tail)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_frames_are_utf_8(encoding):
    """In another encoding, which a parser of bytes guesses, a letter may look like a quote, and hide what follows."""
    for depth in (1, 400):
        text = '{"v": "\u0122", "x": ' + "[" * depth + "]" * depth + "}"
        with pytest.raises(Malformed):
            parse(text.encode(encoding))


def test_a_short_frame_is_not_deep():
    """Whatever its length, what is read is not deeper than the bound: who handles it may be deep in calls already."""
    for depth in (60, 100, 240):
        data = b'{"v": ' + b"[" * depth + b"]" * depth + b"}"
        if depth < frames.NESTING:
            assert parse(data)
        else:
            with pytest.raises(Malformed, match="deeper"):
                parse(data)


@pytest.mark.parametrize(
    "item", ["[]", '{"": 0}', "1.5", '{"a": {}}', '"\U0001f600' + "x" * 1000 + '"', '"\\ud83d' + "x" * 500 + '"']
)
def test_what_a_frame_weighs(item):
    """Not less than what it takes of the host's memory when it is read."""
    data = ('{"v": [' + f"{item}," * 20_000 + "0]}").encode()
    data = data if len(data) < frames.ANSWER_BYTES else ('{"v": [' + f"{item}," * 1000 + "0]}").encode()
    tracemalloc.start()
    found = plain(parse(data))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found and frames.weight(data) >= taken


def test_halves_of_surrogates_are_replaced():
    """What comes out can be encoded."""
    found = plain(json.loads('{"\\ud800": ["a\\udfff", "\\ud83d\\ude00"]}'))
    assert found == {"?": ["a?", "😀"]}
    assert json.dumps(found, ensure_ascii=False).encode()


def test_texts_are_cut():
    """Names and tracebacks alike."""
    raised = {"type": "E" * 5000, "message": "m" * (1 << 20), "traceback": "", "frames": []}
    error = answer_of(answer(code=1, error=raised)).error
    assert len(error.type) == frames.NAME_CHARS and len(error.message) == frames.TEXT_CHARS
