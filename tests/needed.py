"""What tests need and a machine may lack: there they skip, and in CI they fail, where all of it is installed."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from tools import programs


def absent(what: str) -> NoReturn:
    """Skip, and say what is missing; in CI (``CI`` in the environment) fail: there a skip hides what nobody runs."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI it has to be there", pytrace=False)
    pytest.skip(what, allow_module_level=True)


def module(name: str) -> ModuleType:
    """A module of the extras ``test``, ``dev`` and ``bench``."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        absent(f"{name} cannot be imported ({error}): `make venv` installs it")


def program(name: str) -> Path:
    """The path of a real program, such as ``icepll.wasm``, of the extra ``programs``."""
    return programs.find(name) or absent(f"{name} is not installed: `make venv`")
