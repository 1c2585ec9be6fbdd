"""Claims about ``strata plugin watch``: a plugin follows its files, and says what it does."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_watch import Watching
from tests.unit.plugins.guests import COUNT, TRAP, module

SAYS = COUNT.replace("(i32.add (i32.const 48) (global.get $count))", "(i32.const {})").format
FIRST, LATER = SAYS(ord("1")), SAYS(ord("A"))
"""Plugins that answer with a letter, however often they are called: a slow writer is two changes."""
MORE = '(global (export "more") i32 (i32.const 0))'


class Plugin(Watching):
    """The command ``plugin watch``."""

    command, word = "plugin", "watch"

    def answer(self, text):
        """Wait for a line that is this; gives the lines before, too."""
        found = self.until(text)
        while found[-1] != text:
            found += self.until(text)
        return found


@pytest.fixture
def folder(tmp_path):
    """Where the plugin is; ``write`` changes its files."""

    class Folder:
        path = tmp_path / "count"

        def write(self, *body, version="1.0.0"):
            (self.path / "guest.wat").write_bytes(module(*body))
            (self.path / "plugin.toml").write_text(
                f'plugin = 1\nname = "guest"\nversion = "{version}"\nmodule = "guest.wat"\n'
                '[functions]\ncount = "none -> text"\n'
            )

    Folder.path.mkdir()
    return Folder()


@pytest.fixture
def watch(tmp_path):
    """Start one; none outlives its test."""
    made = []

    def start(*words):
        made.append(Plugin(*words, cwd=tmp_path))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()


def test_a_plugin_follows_its_files(watch, folder):
    """Patched where it can be; what cannot go on is one line, and so is what is no plugin; the end is Ctrl-C's."""
    folder.write(FIRST)
    running = watch("count", "count")
    assert running.answer("1")[0] == "strata: guest 1.0.0: loaded"
    folder.write(LATER, version="1.0.1")
    said = running.answer("A")
    assert any(line.startswith("strata: count changed: 1 function changed (3), in ") for line in said)
    folder.write(LATER, MORE)
    assert "no export-state" in running.until("it goes on as it was")[-1]
    folder.write("(func")
    running.until("parse error")
    folder.write(FIRST)  # older
    running.answer("1")
    (folder.path / "plugin.toml").unlink()
    running.until("plugin.toml is gone: waiting for it")
    folder.write(LATER)
    running.answer("A")
    running.close(2)
    assert "interrupted" in "\n".join(running.rest())


def test_one_begins_anew_where_that_is_wanted(watch, folder):
    """Also one that could not be loaded, or trapped."""
    folder.write("(func")
    running = watch("--fresh", "count", "count")
    running.until("parse error")
    folder.write(FIRST)
    running.answer("1")
    folder.write(LATER, MORE)
    running.until("it begins anew")
    running.answer("A")
    folder.write(TRAP.replace('"trap"', '"count"'))
    running.until("unreachable")
    folder.write(FIRST)
    running.answer("1")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["watch", "count", "count", "-"], "standard input is read once"), (["watch", "nothing"], "nothing"),
     (["run", "--fresh", "count", "count"], "--fresh is for `strata plugin watch`")],
)  # fmt: skip
def test_what_cannot_be_meant_is_said(strata, folder, monkeypatch, tmp_path, words, said):
    """Before anything runs."""
    monkeypatch.chdir(tmp_path)
    folder.write(FIRST)
    code, _, err = strata("plugin", *words)
    assert code and said in err
