"""A command line that runs a program means the same to the two that read it: by the table, and by ``argparse``."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stratavm.cli import program
from stratavm.cli.argparser import parse
from stratavm.cli.commands import RUNNERS, module_of

VALUES = (
    "", "-", "--", "-1", "-x", "--fuel", "-h", "a", "app.wasm", "0", "7", "1e3", "nan", "64M", "2 GiB", "x=1", "=",
    "HOME", "NOT_SET_ANYWHERE", "d", "d::/x", "d::/x::rw", "d::/x/", "d:/x", "d:ro", ":ro", "::ro", "d:e:rw",
    "jit1", "oracle", "guard", "linear", "a b", "-a b", "é",
)  # fmt: skip


def words_of(command: str) -> st.SearchStrategy[list[str]]:
    """Lines of options, values and what is neither."""
    names = [name for names, _ in module_of(command).OPTIONS for name in names]
    near = [*(name[:-1] for name in names), "--no-such", "-V", "--help"]
    value = st.sampled_from(VALUES)
    option = st.sampled_from(names)
    word = st.one_of(
        option, value, st.sampled_from(near), st.builds("{}={}".format, option, value),
        st.builds("{}={}".format, st.sampled_from(near), value),
    )  # fmt: skip
    pair = st.tuples(option, value)
    parts = st.lists(st.one_of(pair, st.tuples(word)), max_size=5)
    return st.builds(
        lambda found, app: [w for part in found for w in part] + app, parts, st.sampled_from(([], ["app"]))
    )


def read_both(command: str, words: list[str]) -> tuple[object, object]:
    """What the table makes of a line, and what argparse does: None where it ends the process."""
    quick = program.read(module_of(command).OPTIONS, words, program.Options(command=command))
    try:
        full = parse(command, words)
    except SystemExit:
        full = None
    return quick and vars(quick), full and vars(full)


LINES = {command: words_of(command) for command in RUNNERS}


@settings(max_examples=400)
@pytest.mark.parametrize("command", RUNNERS)
@given(data=st.data())
def test_both_agree_on_random_lines(command, data):
    """What the table reads, argparse reads so; what argparse refuses, the table leaves to it."""
    words = data.draw(LINES[command])
    quick, full = read_both(command, words)
    assert quick is None or quick == full, shlex.join(words)


@pytest.mark.parametrize(
    "line",
    [
        "app.wasm", "-", "-- -app.wasm --fuel", "--dir d --dir e::/e::rw app.wasm --dir x", "--dir=d::/x app",
        "--json a -h", "--stdin - app.wasm", "--env HOME --env A=1 --env=A=2 app.wasm",
        "--timeout 2 --fuel 1000 --max-memory 64M app.wasm",
        "--isolate --invoke add math.wat 1 -2", "--tier jit1 --allocator linear --memory-plan bounded x",
    ],
)  # fmt: skip
def test_usual_lines_need_no_argparse(line):
    """They are read by the table, as argparse would."""
    quick, full = read_both("run", shlex.split(line))
    assert quick == full
    assert quick is not None


@given(text=st.text("0123456789٣kKmMgGiIbB \t\n-.", max_size=8))
@example("64 mib")
def test_sizes_are_those_of_their_pattern(text):
    """A number, a prefix, and a unit that may be left out."""
    import argparse
    import re

    from stratavm.cli.options import PREFIXES, size

    match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    try:
        found = size(text)
    except argparse.ArgumentTypeError:
        found = None
    assert found == (match and int(match[1]) * PREFIXES[match[2]])
