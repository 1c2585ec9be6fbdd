"""The command, as tests run it: in this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stratavm
from stratavm.cli.main import main


@pytest.fixture
def strata(capfd):
    """Run the command in this process: its exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def process():
    """Run the command as a process, with keyword arguments of ``subprocess.run``."""
    environment = {**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1])}

    def run(*arguments: str | bytes, **keywords: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "stratavm", *arguments]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, "env": environment, **keywords}
        return subprocess.run(command, **given)

    return run
