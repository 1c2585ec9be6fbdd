"""Completion as the shells do it: each script is loaded in its shell and asked. Shells that are absent are left out."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess

import pytest

from stratavm.cli.commands import COMMANDS
from stratavm.cli.completion import SHELLS

ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
compopt() { :; }
_strata
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_FISH = 'source $argv[1]; complete -C "$argv[2]"'


@pytest.fixture
def folder(tmp_path):
    """Files to complete, and the scripts."""
    (tmp_path / "app.wasm").touch()
    (tmp_path / "a b*.wat").touch()
    (tmp_path / "data").mkdir()
    for shell, script in SHELLS.items():
        (tmp_path / f".script.{shell}").write_text(script())
    return tmp_path


def bash(folder, *words: str) -> list[str]:
    """What bash offers for the last word."""
    command = ["bash", "--norc", "-c", ASK_BASH, "bash", ".script.bash", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return [line for line in done.stdout.split("\n") if line]


def fish(folder, *words: str) -> list[str]:
    """What fish offers."""
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    command = ["fish", "--no-config", "-c", ASK_FISH, ".script.fish", " ".join(words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def zsh(folder, *words: str) -> list[str]:
    """What zsh shows when Tab is pressed at the end of the words."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "COLUMNS": "200", "PS1": "READY "})

    def typed(text: str, until: str) -> str:
        """What appears from now on, up to a text."""
        os.write(terminal, text.encode())
        seen = b""
        while until.encode() not in seen:
            assert select.select([terminal], [], [], 60)[0], seen
            seen += os.read(terminal, 65536)
        return seen.decode(errors="replace")

    typed(
        "autoload -Uz compinit; compinit -D; source .script.zsh; LISTMAX=1000; unsetopt beep; PS1='DO''NE '\n", "DONE "
    )
    # ^U takes the line back; the echo runs when the completion is over.
    seen = typed(" ".join(words) + "\t\t", " ")
    seen += typed("\x15echo EN''D\n", "END")
    os.close(terminal)
    os.waitpid(child, 0)
    return seen.replace("\r", "\n").replace("--", " --").split()


ASK = {"bash": bash, "zsh": zsh, "fish": fish}
HERE = [pytest.param(name, marks=() if shutil.which(name) else pytest.mark.skip(f"no {name} here")) for name in ASK]


@pytest.mark.parametrize("shell", HERE)
def test_commands_are_completed(folder, shell):
    """All that begin so."""
    found = ASK[shell](folder, "strata", "va")
    assert any("validate" in word for word in found)
    assert "run" not in found


@pytest.mark.parametrize("shell", HERE)
def test_options_of_the_command_are_completed(folder, shell):
    """And no others."""
    found = ASK[shell](folder, "strata", "strip", "--k")
    assert any("--keep" in word for word in found)
    assert "--kind" not in " ".join(found)
    assert not any("--tier" in word for word in ASK[shell](folder, "strata", "strip", "--"))


@pytest.mark.parametrize("shell", HERE)
def test_values_are_completed(folder, shell):
    """Of an option with a few."""
    found = ASK[shell](folder, "strata", "dump", "--stage", "s")
    assert {"ssa", "sched"} <= set(found)
    assert "decode" not in found


@pytest.mark.parametrize("shell", HERE)
def test_files_are_completed(folder, shell):
    """Where a module is expected, and behind the options that take a file."""
    assert any("app.wasm" in word for word in ASK[shell](folder, "strata", "info", "ap"))
    assert any("app.wasm" in word for word in ASK[shell](folder, "strata", "run", "--stdin", "ap"))


def test_bash_completes_commands_and_files_at_first(folder):
    """``strata app.wasm`` runs it."""
    assert set(bash(folder, "strata", "")) >= {*COMMANDS, "app.wasm", "data"}


def test_bash_completes_names_with_blanks_and_stars(folder):
    """One word each, unexpanded."""
    assert bash(folder, "strata", "info", "a ") == ["a b*.wat"]


def test_bash_completes_folders_for_dir_only(folder):
    """And not the files beside them."""
    assert bash(folder, "strata", "run", "--dir", "") == ["data"]


def test_bash_leaves_the_arguments_of_the_guest_alone(folder):
    """Behind the module there are files, no options of ours; before it there are."""
    assert "--dir" in bash(folder, "strata", "run", "--d")
    assert "--dir" in bash(folder, "strata", "run", "--tier", "jit1", "--d")
    assert bash(folder, "strata", "run", "app.wasm", "--d") == []
    assert bash(folder, "strata", "app.wasm", "--d") == []


def test_the_script_is_for_a_shell_that_is_known(strata):
    """Others are refused with the list."""
    code, _, err = strata("completion", "csh")
    assert code == 2
    assert "bash" in err and "fish" in err
