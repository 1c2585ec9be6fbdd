"""Claims about ``strata plugin``: what it lists, what it refuses, and what it calls."""

from __future__ import annotations

import io
import json
import sys

import pytest

from tests.unit.plugins.guests import ASK, ECHO, ERROR, HOST, SPIN, TRAP, module

LOG = HOST.replace('"host" "ask"', '"log" "write"')


@pytest.fixture
def folder(tmp_path):
    """Two plugins, in folders of their own."""

    def write(name, text, *more, **functions):
        place = tmp_path / name
        place.mkdir()
        (place / f"{name}.wat").write_bytes(text)
        lines = [f'plugin = 1\nname = "{name}"\nversion = "1.0.0"\nmodule = "{name}.wat"', *more, "[functions]"]
        lines += [f'{function} = "{kinds}"' for function, kinds in functions.items()]
        (place / "plugin.toml").write_text("\n".join(lines))

    echoes = [ECHO.replace("$echo", f"$e{i}").replace('"echo"', f'"e{i}"') for i in range(4)]
    kinds = {"e0": "text -> text", "e1": "json -> json", "e2": "bytes -> bytes", "e3": "none -> none"}
    write("echo", module(*echoes, TRAP, ERROR, SPIN, imports=""), **kinds,
          trap="none -> none", refuse="none -> none", spin="none -> none")  # fmt: skip
    write("shout", module(ASK, imports=LOG), 'capabilities = ["log"]', ask="text -> none")
    return tmp_path


def test_plugins_are_listed(strata, folder):
    """With what they offer and ask for; what is no manifest is told, and makes the exit code 1."""
    code, out, err = strata("plugin", "list", str(folder))
    assert (code, err) == (0, "")
    assert "echo 1.0.0" in out and "e1: json -> json" in out
    assert "shout 1.0.0" in out and "asks for log" in out and "asks for none" in out
    (folder / "shout/plugin.toml").write_text("plugin = 2")
    code, out, err = strata("plugin", "list", "--json", str(folder))
    found = json.loads(out)
    assert code == 1 and found[0]["manifest"]["name"] == "echo" and "expected 1" in found[1]["error"]
    assert "shout/plugin.toml: plugin: expected 1" in strata("plugin", "list", str(folder))[2]
    assert strata("plugin", "list", str(folder / "nothing"))[0] == 1


def test_a_plugin_is_checked(strata, folder):
    """Nothing of it runs; a lie is one line."""
    assert strata("plugin", "check", str(folder / "shout"))[:2] == (0, "shout 1.0.0 is what it says\n  asks for log\n")
    text = (folder / "shout/plugin.toml").read_text()
    (folder / "shout/plugin.toml").write_text(text.replace('["log"]', "[]"))
    code, out, err = strata("plugin", "check", str(folder / "shout"))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "it imports log.write, which is of no capability that it asks for" in err


def test_a_plugin_that_needs_a_proposal_on_request_gets_it(strata, folder):
    """The option that its refusal names: to be checked, and to be called."""
    echo = folder / "echo"
    text = (echo / "echo.wat").read_text()
    (echo / "echo.wat").write_text(text.rstrip().removesuffix(")") + "(memory 1 (pagesize 1)))")
    for action in (("check", str(echo)), ("run", str(echo), "e0", "hi")):
        code, _, err = strata("plugin", *action)
        assert code == 1
        assert "--proposal custom-page-sizes" in err
        assert strata("plugin", action[0], "--proposal", "custom-page-sizes", *action[1:])[0] == 0


def test_a_function_is_called(strata, folder, monkeypatch):
    """Of each kind; a value may come from standard input."""
    echo = str(folder / "echo")
    assert strata("plugin", "run", echo, "e0", "hällo") == (0, "hällo\n", "")
    assert json.loads(strata("plugin", "run", echo, "e1", '{"a": [1]}')[1]) == {"a": [1]}
    assert strata("plugin", "run", echo, "e2", "raw") == (0, "raw", "")
    assert strata("plugin", "run", "--json", echo, "e2", "raw")[1] == '"726177"\n'
    assert strata("plugin", "run", echo, "e3") == (0, "", "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from there")))
    assert strata("plugin", "run", echo, "e0", "-") == (0, "from there\n", "")


def test_nothing_is_granted_but_what_is_named(strata, folder):
    """A log needs ``--grant log``."""
    shout = str(folder / "shout")
    code, _, err = strata("plugin", "run", shout, "ask", "hello")
    assert code == 2 and "shout asks for log, which it is not given (hint: --grant log)" in err
    assert strata("plugin", "run", "--grant", "log", shout, "ask", "hello") == (0, "", "strata: shout: hello\n")


def test_all_that_a_plugin_asks_for_is_shown_and_how_it_is_given(strata, folder):
    """Who grants it has to know."""
    echo = folder / "echo"
    text = (echo / "plugin.toml").read_text()
    more = f"""wasi = true
capabilities = ["log", "prices"]
env = [{", ".join(f'"V{i}"' for i in range(20))}]
requires = {{index = ">=1.2, <2"}}
conflicts = {{search = "*"}}
folders = {{"/data" = "ro", "/out" = "rw"}}
limits = {{call_s = 7, memory_bytes = 99000000, host_calls = 99999}}
"""
    (echo / "plugin.toml").write_text(more + text)
    out = strata("plugin", "list", str(echo))[1]
    assert all(f" V{i}," in out for i in range(20)) and "/out (rw)" in out and "call_s = 7" in out
    assert "\n  requires index >=1.2, <2\n  conflicts with search *\n" in out
    code, _, err = strata("plugin", "run", "--grant", "log", str(echo), "e3")
    assert code == 2 and err.count("\n") == 1
    for how in ("--grant wasi", "--dir HOST::/data", "--dir HOST::/out::rw", "--env V19=VALUE", "--timeout 7"):
        assert how in err
    assert "--max-memory 99000000" in err
    assert "a program of yours gives it prices" in err and "whose policy gives host_calls" in err


@pytest.mark.parametrize("words", [("plugin", "run", "ECHO", "e0", "-"), ("python", "-"), ("wast", "-"), ("info", "-")])
def test_standard_input_that_is_closed_is_an_error(strata, folder, monkeypatch, words):
    """Of one line, of each command that reads it."""
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = strata(*(str(folder / "echo") if word == "ECHO" else word for word in words))
    assert (code, err) == (1, "strata: standard input: Bad file descriptor\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "ECHO"), 2, "which FUNCTION is to be called?"),
        (("check", "ECHO", "e0"), 2, "FUNCTION is for `strata plugin run`"),
        (("run", "--dir", ".", "ECHO", "e0", "x"), 2, "--grant wasi"),
        (("check", "--installed", "echo"), 2, "--installed is for `strata plugin run`"),
        (("run", "--trusted", "keys.json", "ECHO", "e0", "x"), 2, "--installed"),
        (("run", "ECHO", "spim"), 2, "echo has no function 'spim'; did you mean 'spin'?"),
        (("run", "ECHO", "e0"), 2, "the function takes text (hint: give a VALUE"),
        (("run", "ECHO", "e3", "x"), 2, "the function takes nothing"),
        (("run", "ECHO", "e1", "{"), 2, "VALUE is no JSON"),
        (("run", "ECHO", "e1", "[" * 60_000), 2, "VALUE is no JSON: lists or tables that are nested too deeply"),
        (("run", "ECHO", "e0", "a\udcff"), 2, "VALUE is no UTF-8 at byte 1"),
        (("run", "--config", "{", "ECHO", "e3"), 2, "--config is no JSON"),
        (("run", "--config", "{}", "ECHO", "e3"), 1, "it takes no configuration"),
        (("run", "ECHO", "trap"), 134, "trap: unreachable"),
        (("run", "ECHO", "refuse"), 1, "not today"),
        (("run", "--timeout", "0.05", "ECHO", "spin"), 124, "raise --timeout"),
        (("run", "--fuel", "1000", "ECHO", "spin"), 134, "raise --fuel"),
        (("run", "--max-memory", "1k", "ECHO", "e3"), 1, "its memory begins with 65536 bytes, it may have 1024"),
        (("list", "nothing"), 1, "nothing: No such file or directory"),
        (("fly", "ECHO"), 2, "fly"),
    ],
)
def test_a_mistake_is_one_line(strata, folder, arguments, code, words):
    """With the exit code that there is for it."""
    found, _, err = strata("plugin", *(str(folder / "echo") if a == "ECHO" else a for a in arguments))
    assert found == code and words in err
